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

__all__ = ["LabelledImages", "collect_images", "label_ids", "strata"]


_CODES = ("image-missing", "row-no-split", "label-missing", "image-listed-twice", "label-conflict")


@dataclass
class LabelledImages:
    """The images of a split.

    Attributes:
        names: Their paths, relative to the root of the data set or absolute.
        labels: The labels of each.
    """

    names: list[str] = field(default_factory=list)
    labels: list[tuple[str, ...]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.names)

    def select(self, positions: Iterable[int]) -> LabelledImages:
        """The images at these positions."""
        positions = list(positions)
        return LabelledImages([self.names[i] for i in positions], [self.labels[i] for i in positions])


def collect_images(
    paths: Sequence[str],
    labels: Sequence[tuple[str, ...]],
    splits: Sequence[str] | None,
    *,
    lines: Sequence[int],
    finder: ImageFinder,
    unites: bool,
    findings: list[Finding],
) -> tuple[dict[str, LabelledImages], bool]:
    """The images of a table's rows, each once.

    Args:
        paths: The path of the image in each row.
        labels: Its labels.
        splits: Its split, as written; None for a table that is not divided.
        lines: The lines of the rows, for findings.
        finder: Finds the files.
        unites: Whether an image may have the labels of several rows; else one label is expected.
        findings: Takes what is dropped, merged or in conflict.

    Returns:
        The images of each split, and whether an image has the labels of several rows.
    """
    found: dict[str, tuple[str, int]] = {}  # split and position in it
    images: dict[str, LabelledImages] = {}
    places: dict[str, list[str]] = {code: [] for code in _CODES}
    overlaps: dict[tuple[str, str], list[str]] = {}
    split_by_word = {} if splits is None else {word: split_of(word) for word in set(splits)}
    united = False
    for row, (path, label_set, line) in enumerate(zip(paths, labels, lines, strict=True)):
        name = finder.find(path) if path else None
        split = "train" if splits is None else split_by_word[splits[row]]
        if name is None:
            places["image-missing"].append(f"'{path}' in line {line}")
        elif split is None:
            places["row-no-split"].append(f"'{splits[row] if splits else ''}' in line {line}")
        elif not label_set and not unites:
            places["label-missing"].append(f"'{path}' in line {line}")
        elif name not in found:
            target = images.setdefault(split, LabelledImages())
            found[name] = split, len(target)
            target.names.append(name)
            target.labels.append(label_set)
        else:
            first, position = found[name]
            known = images[first].labels[position]
            if first != split:
                overlaps.setdefault((split, first), []).append(f"'{path}' in line {line}")
            elif set(label_set) <= set(known):
                places["image-listed-twice"].append(f"'{path}' in line {line}")
            elif unites:
                images[first].labels[position] = (*known, *(label for label in label_set if label not in known))
                united = True
            else:
                places["label-conflict"].append(f"'{path}' in line {line}")
    if unites:
        bare = [
            name
            for split in images.values()
            for name, found_labels in zip(split.names, split.labels, strict=True)
            if not found_labels
        ]
        findings += Finding.of("label-none", bare)
    for code, where in places.items():
        findings += Finding.of(code, where)
    for (split, other), where in overlaps.items():
        findings += Finding.of("splits-overlap", where, split=split, other=other)
    return images, united


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
