"""Pairing images with mask files and reading the values of masks, without torch; problems are reported as findings."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
from numpy.typing import NDArray

from visionkit.data.findings import Finding
from visionkit.data.image_header import read_header
from visionkit.data.mask_values import ValueCounts, encode_colour, read_contents
from visionkit.data.sources.annotations import ParsedDataset
from visionkit.data.sources.image_lists import ImageLists
from visionkit.data.sources.masks.class_map import ClassMap
from visionkit.data.sources.masks.classes import MaskClasses, describe_values, resolve_classes
from visionkit.errors import UserError
from visionkit.structures.class_ids import IGNORE_INDEX

__all__ = ["ParsedMasks", "MaskedImages", "Pair", "pair_files", "read_pairs"]

Pair = tuple[str, str]
"""The names of an image and of its mask, relative to the root."""


@dataclass(frozen=True)
class MaskedImages:
    """The images of a split, or of a data set without splits, with their masks.

    Attributes:
        names: Paths of the images relative to the root, separated by ``/``.
        masks: Paths of their masks, in the same order.
        has_class: bool (N,), which masks have a pixel that is not ignored.
    """

    names: Sequence[str]
    masks: Sequence[str]
    has_class: NDArray[Any]

    def __len__(self) -> int:
        return len(self.names)

    def select(self, positions: NDArray[Any]) -> MaskedImages:
        """The images at these positions, int64 (M,), in this order."""
        names, masks = ([column[i] for i in positions] for column in (self.names, self.masks))
        return MaskedImages(names, masks, self.has_class[positions])


@dataclass(frozen=True)
class ParsedMasks(ParsedDataset[MaskedImages]):
    """The contents of a data set's files, with the classes of the masks.

    Attributes:
        classes: Class names, and the class id of each value.
    """

    classes: MaskClasses | None = None


def pair_files(
    lists: ImageLists,
    images: str,
    masks: str,
    findings: list[Finding],
    *,
    mask_suffix: str = "",
    image_suffix: str = "",
) -> list[Pair]:
    """Pair the images below one folder with the masks of the same name below another.

    Args:
        lists: Lists the images and masks.
        images: The folder of the images, relative to the root.
        masks: The folder of the masks, relative to the root.
        findings: A list to which files without a partner are appended.
        mask_suffix: What the names of masks append, such as ``_mask``; files without it are left out.
        image_suffix: What the names of images append, likewise.

    Raises:
        UserError: If a folder is empty, or there is no pair.
    """
    root = lists.root
    image_files, mask_files = lists.stems(images, findings), lists.stems(masks, findings)
    for folder, files, kind in ((images, image_files, "images"), (masks, mask_files, "masks")):
        if not files:
            details = "".join(f" {finding.note}. {finding.remedy}" for finding in lists.findings())
            raise UserError(f"dataset.{kind}: no {kind} in '{root / folder}'. Expected image files there.{details}")
    masks_by_stem, images_by_stem = (
        {stem.removesuffix(suffix): name for stem, name in files.items() if stem.endswith(suffix)}
        for files, suffix in ((mask_files, mask_suffix), (image_files, image_suffix))
    )
    common_stems = [stem for stem in images_by_stem if stem in masks_by_stem]
    if not common_stems:
        raise UserError(
            f"dataset.masks: none of the {len(image_files)} images in '{root / images}' has a mask of its own name in "
            f"'{root / masks}': found the image '{next(iter(image_files.values()))}' and the mask "
            f"'{next(iter(mask_files.values()))}'. Expected the same names, but for the ending; what masks have "
            "more is said by dataset.mask_suffix=_mask"
        )
    findings += Finding.of("mask-missing", [name for stem, name in images_by_stem.items() if stem not in masks_by_stem])
    findings += Finding.of("mask-orphan", [name for stem, name in masks_by_stem.items() if stem not in images_by_stem])
    return [(images_by_stem[stem], masks_by_stem[stem]) for stem in common_stems]


def read_pairs(
    root: Path,
    pairs: Mapping[str, Sequence[Pair]],
    findings: list[Finding],
    *,
    classes: Sequence[str | None] | None,
    class_map: ClassMap | None,
    ignore: Collection[int] = (),
    keys: Collection[str],
) -> ParsedMasks:
    """Read the values of all masks and determine the classes.

    Args:
        root: The data set's folder.
        pairs: Images and masks of each split.
        findings: Earlier findings; those on masks are appended.
        classes: As in `resolve_classes`.
        class_map: As there; None if values are no colours.
        ignore: As there.
        keys: The names of the settings of the data set.

    Raises:
        UserError: If a split has no valid pair, or as `resolve_classes`.
    """
    readable: dict[str, list[Pair]] = {}
    counts: dict[str, ValueCounts] = {}
    for split, split_pairs in pairs.items():
        contents = _read_all(root, split_pairs, class_map)
        readable_pairs = [pair for pair, content in zip(split_pairs, contents, strict=True) if not content.problem]
        problems = dict.fromkeys(content.problem for content in contents if content.problem)
        split_findings = [
            finding
            for problem in problems
            for finding in Finding.of(problem, [content.location for content in contents if content.problem == problem])
        ]
        findings += split_findings
        if not readable_pairs:
            raise UserError(
                f"dataset.root: nothing is left of the {len(split_pairs)} images of {split}:"
                f"{''.join(f' {finding.note}. {finding.remedy_for(keys)}' for finding in split_findings)}"
            )
        readable[split] = readable_pairs
        counts |= {pair[1]: content.counts for pair, content in zip(split_pairs, contents, strict=True)}
    train_counts = [counts[mask] for _, mask in readable["train"]]
    resolved = resolve_classes(train_counts, classes=classes, class_map=class_map, ignore=ignore)
    masks = {mask: counts[mask] for readable_pairs in readable.values() for _, mask in readable_pairs}
    findings += _value_findings(masks, resolved)
    if classes is None and class_map is None:
        findings += _undeclared_void({mask: counts[mask] for _, mask in readable["train"]}, resolved)
    class_values = list(resolved.table.classes)
    splits = {
        split: MaskedImages(
            [image for image, _ in readable_pairs],
            [mask for _, mask in readable_pairs],
            numpy.array([bool(numpy.isin(counts[mask].values, class_values).any()) for _, mask in readable_pairs]),
        )
        for split, readable_pairs in readable.items()
    }
    return ParsedMasks(root, splits, resolved.names, findings, notes=resolved.notes, classes=resolved)


def _value_findings(masks: Mapping[str, ValueCounts], classes: MaskClasses) -> list[Finding]:
    """Values that are read as others, values without a class, and classes without a value."""
    coloured, strays, outside = classes.table.coloured, [], []
    for mask, counts in masks.items():
        stray = classes.stray_values(counts)
        if len(stray.values):
            total = int(stray.pixels.sum())
            frequent = stray.values[(-stray.pixels).argsort(kind="stable")].tolist()
            shown = describe_values(frequent, coloured=coloured, limit=4)
            strays.append(f"{mask} ({total:,} pixel{'s' if total > 1 else ''}: {shown})")
        unknown = classes.unknown_values(counts.values.tolist())
        if unknown:
            outside.append(f"{mask} ({describe_values(unknown, coloured=coloured)})")
    low, high = classes.levels or (0, 0)
    return [
        *Finding.of("mask-stray-values", strays, low=str(low), high=str(high)),
        *Finding.of("mask-outside-classes", outside),
        *Finding.of("class-absent", classes.absent),
    ]


def _undeclared_void(train_masks: Mapping[str, ValueCounts], classes: MaskClasses) -> list[Finding]:
    """That 255 was taken for a class although the other values are small ids, beside which it is void by custom."""
    values = set(classes.table.classes)
    if classes.levels is not None or IGNORE_INDEX not in values or max(values - {IGNORE_INDEX}) > _MAX_SMALL_ID:
        return []
    return Finding.of(
        "mask-void-class", [mask for mask, counts in train_masks.items() if IGNORE_INDEX in counts.values]
    )


_MAX_SMALL_ID = 100
_UNREADABLE = "mask-unreadable"
_SIZES = "mask-size"
_COLOURED = "mask-coloured"
_INDEXED = "mask-indexed"
_MAX_UNKNOWN = 1000
_GREY = encode_colour(1, 1, 1)
_NO_VALUES = ValueCounts(numpy.zeros(0, numpy.int64), numpy.zeros(0, numpy.int64))


@dataclass(frozen=True)
class _PairContent:
    """The values of a pair's mask, or a problem and its location."""

    counts: ValueCounts = _NO_VALUES
    problem: str = ""
    location: str = ""


def _read_all(root: Path, pairs: Sequence[Pair], class_map: ClassMap | None) -> list[_PairContent]:
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        return list(pool.map(lambda pair: _read_pair(root, pair, class_map), pairs))


def _read_pair(root: Path, pair: Pair, class_map: ClassMap | None) -> _PairContent:
    image, mask = pair
    colours = class_map.names if class_map is not None and class_map.coloured else None
    coloured = colours is not None
    try:
        header, mask_size = read_header(root / image), read_header(root / mask).stored
        if mask_size not in (header.size, header.stored):  # a photo with a mask of the stored pixels is read unturned
            height, width = header.size
            found = f"{mask_size[1]}x{mask_size[0]}"
            location = f"{mask} is {found}, {image} {width}x{height} (width x height)"
            return _PairContent(problem=_SIZES, location=location)
        contents = read_contents(root / mask, coloured=coloured)
    except UserError as error:
        return _PairContent(problem=_UNREADABLE, location=f"{mask} ({error})")
    counts = contents.counts
    if colours is not None and not contents.is_coloured:
        greys = counts.values * _GREY  # a mask in which only black is used may be saved as a grey image
        if not all(value in colours for value in greys.tolist()):
            return _PairContent(problem=_INDEXED, location=f"{mask} ({_examples(counts, coloured=False)})")
        counts = ValueCounts(greys, counts.pixels)
    elif colours is not None:
        counts = _without_rare(counts, colours)
    elif contents.is_coloured and not coloured:
        return _PairContent(problem=_COLOURED, location=f"{mask} ({_examples(counts, coloured=True)})")
    return _PairContent(counts)


def _without_rare(counts: ValueCounts, colours: Collection[int]) -> ValueCounts:
    """The colours of classes and the most frequent others, of which a mask saved as JPEG has 100,000."""
    is_known = numpy.isin(counts.values, list(colours))
    others = numpy.flatnonzero(~is_known)
    rows = others[(-counts.pixels[others]).argsort(kind="stable")[:_MAX_UNKNOWN]]
    keep = numpy.sort(numpy.concatenate([numpy.flatnonzero(is_known), rows]))
    return ValueCounts(counts.values[keep], counts.pixels[keep])


def _examples(counts: ValueCounts, *, coloured: bool) -> str:
    return f"values {describe_values(counts.values[:4].tolist(), coloured=coloured)}"
