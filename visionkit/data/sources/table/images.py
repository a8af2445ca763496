"""The labelled images of a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from visionkit.data.findings import Finding
from visionkit.data.sources.split_names import split_of
from visionkit.data.sources.table.files import ImageFinder

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ImageCollector", "LabelledImages", "label_ids", "strata"]


_CODES = ("image-missing", "image-ambiguous", "row-no-split", "label-missing", "image-listed-twice", "label-conflict")


@dataclass
class LabelledImages:
    """The images of a split.

    Attributes:
        names: Their paths, relative to the root of the data set or absolute.
        labels: The labels of each.
        groups: The group of each, which is never divided between two splits; empty without groups.
    """

    names: list[str] = field(default_factory=list)
    labels: list[tuple[str, ...]] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.names)

    def select(self, positions: Iterable[int]) -> LabelledImages:
        """The images at these positions."""
        positions = list(positions)
        groups = [self.groups[i] for i in positions] if self.groups else []
        return LabelledImages([self.names[i] for i in positions], [self.labels[i] for i in positions], groups)


class ImageCollector:
    """Collects the images of a table's rows, each once.

    Args:
        finder: Finds the files.
        unites: Whether an image may have the labels of several rows; else one label is expected.

    Attributes:
        images: The images of each split.
        is_united: Whether an image has the labels of several rows.
    """

    def __init__(self, finder: ImageFinder, *, unites: bool) -> None:
        self.finder, self.unites = finder, unites
        self.images: dict[str, LabelledImages] = {}
        self.is_united = False
        self._places: dict[str, list[str]] = {code: [] for code in _CODES}
        self._positions: dict[str, dict[str, int]] = {}  # in each split, by name

    def add(
        self,
        paths: Sequence[str],
        labels: Sequence[tuple[str, ...]],
        splits: Sequence[str] | None,
        lines: Sequence[int],
        groups: Sequence[str] | None = None,
        *,
        table: str = "",
    ) -> None:
        """Add the rows of a table.

        Args:
            paths: The path of the image in each row.
            labels: Its labels.
            splits: Its split, as written; None for a table that is not divided.
            lines: The lines of the rows, for findings.
            groups: Its group; None if there are none.
            table: The name of the table, for findings, if there are several.
        """
        split_by_word = {word: split_of(word) for word in {"train", *(splits or ())}}
        for row, (path, label_set) in enumerate(zip(paths, labels, strict=True)):
            name = self.finder.find(path) if path else None
            if name in self.finder.unread:
                continue
            word = "train" if splits is None else splits[row]
            split = split_by_word[word]
            known = self._positions.setdefault(split or "", {})
            if name is not None and split is not None and name not in known and (label_set or self.unites):
                images = self.images.setdefault(split, LabelledImages())
                known[name] = len(images)
                images.names.append(name)
                images.labels.append(label_set)
                if groups is not None:
                    images.groups.append(groups[row])
                continue
            place = f"'{path}' in line {lines[row]}{table and f' of {table}'}"
            if name is None:
                self._places["image-ambiguous" if path in self.finder.ambiguous else "image-missing"].append(place)
            elif split is None:
                self._places["row-no-split"].append(f"'{word}' of {place}")
            elif not label_set and not self.unites:
                self._places["label-missing"].append(place)
            else:
                self._merge(self.images[split], known[name], label_set, place)

    def findings(self) -> list[Finding]:
        """What was dropped, merged or is in conflict."""
        findings = [finding for code, places in self._places.items() for finding in Finding.of(code, places)]
        findings += self.finder.findings()
        pairs = (pair for split in self.images.values() for pair in zip(split.names, split.labels, strict=True))
        return findings + Finding.of("label-none", [name for name, label_set in pairs if not label_set])

    def _merge(self, images: LabelledImages, position: int, label_set: tuple[str, ...], place: str) -> None:
        """Add a further row of an image."""
        known = images.labels[position]
        if set(label_set) <= set(known):
            self._places["image-listed-twice"].append(place)
        elif self.unites:
            images.labels[position] = tuple(dict.fromkeys((*known, *label_set)))
            self.is_united = True
        else:
            self._places["label-conflict"].append(place)


def strata(labels: Sequence[tuple[str, ...]], *, least: int) -> NDArray[Any]:
    """Ids of strata for random splits of images with any number of labels, int64 (N,).

    The stratum of an image is the rarest of its labels that enough images have.

    Args:
        labels: The labels of each image.
        least: The least number of images of a label, and of a stratum; smaller ones are put together.
    """
    import numpy

    counts = Counter(label for label_set in labels for label in label_set)
    frequent = sorted((label for label in counts if counts[label] >= least), key=lambda label: (counts[label], label))
    order, rest = {label: index for index, label in enumerate(frequent)}, len(frequent)
    ids = numpy.array([min((order.get(label, rest) for label in label_set), default=rest) for label_set in labels])
    sizes = numpy.bincount(ids, minlength=rest + 1)
    ids[sizes[ids] < least] = rest
    if (ids == rest).sum() < least:
        ids[ids == rest] = sizes.argmax()
    return ids.astype(numpy.int64)


def label_ids(labels: Iterable[tuple[str, ...]], class_names: Sequence[str]) -> list[tuple[int, ...]]:
    """The class ids of each image."""
    ids: Mapping[str, int] = {name: index for index, name in enumerate(class_names)}
    return [tuple(ids[label] for label in label_set) for label_set in labels]
