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
from visionkit.data.images import read_size
from visionkit.data.mask_values import is_coloured, unique_values
from visionkit.data.sources.annotations import ParsedDataset, list_images
from visionkit.data.sources.masks.classes import ClassMap, MaskClasses, describe_values, resolve_classes
from visionkit.errors import UserError

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


def pair_files(root: Path, images: str, masks: str, findings: list[Finding], *, mask_suffix: str = "") -> list[Pair]:
    """Pair the images below one folder with the masks of the same name below another.

    Args:
        root: The data set's folder.
        images: The folder of the images, relative to the root.
        masks: The folder of the masks, relative to the root.
        findings: A list to which files without a partner are appended.
        mask_suffix: What the names of masks append to those of their images, such as ``_mask``.

    Raises:
        UserError: If a folder is empty, or there is no pair.
    """
    image_files, mask_files = (_by_stem(root, folder, findings) for folder in (images, masks))
    for folder, files, kind in ((images, image_files, "images"), (masks, mask_files, "masks")):
        if not files:
            raise UserError(f"dataset.{kind}: no {kind} in '{root / folder}'. Expected image files there.")
    masks_by_stem = {
        stem.removesuffix(mask_suffix): name for stem, name in mask_files.items() if stem.endswith(mask_suffix)
    }
    common_stems = [stem for stem in image_files if stem in masks_by_stem]
    if not common_stems:
        raise UserError(
            f"dataset.masks: none of the {len(image_files)} images in '{root / images}' has a mask of its own name in "
            f"'{root / masks}': found the image '{next(iter(image_files.values()))}' and the mask "
            f"'{next(iter(mask_files.values()))}'. Expected the same names, but for the ending; what masks have "
            "more is said by dataset.mask_suffix=_mask"
        )
    findings += Finding.of("mask-missing", [name for stem, name in image_files.items() if stem not in masks_by_stem])
    findings += Finding.of("mask-orphan", [name for stem, name in masks_by_stem.items() if stem not in image_files])
    return [(image_files[stem], masks_by_stem[stem]) for stem in common_stems]


def read_pairs(
    root: Path,
    pairs: Mapping[str, Sequence[Pair]],
    findings: list[Finding],
    *,
    classes: Sequence[str | None] | None,
    class_map: ClassMap | None,
    ignore_ids: Collection[int] = (),
) -> ParsedMasks:
    """Read the values of all masks and determine the classes.

    Args:
        root: The data set's folder.
        pairs: Images and masks of each split.
        findings: Earlier findings; those on masks are appended.
        classes: As in `resolve_classes`.
        class_map: As there; None if values are no colours.
        ignore_ids: As there.

    Raises:
        UserError: If a split has no valid pair, or as `resolve_classes`.
    """
    coloured = class_map is not None and class_map.coloured
    readable: dict[str, list[Pair]] = {}
    values: dict[str, frozenset[int]] = {}
    for split, split_pairs in pairs.items():
        contents = _read_all(root, split_pairs, coloured=coloured)
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
                f"dataset.masks: nothing is left of the {len(split_pairs)} images of {split}:"
                f"{''.join(f' {finding.note}. {finding.remedy}' for finding in split_findings)}"
            )
        readable[split] = readable_pairs
        values |= {pair[1]: content.values for pair, content in zip(split_pairs, contents, strict=True)}
    train_values: frozenset[int] = frozenset().union(*(values[mask] for _, mask in readable["train"]))
    resolved = resolve_classes(train_values, classes=classes, class_map=class_map, ignore_ids=ignore_ids)
    outside_classes = [
        f"{mask} ({describe_values(unknown, coloured=coloured)})"
        for readable_pairs in readable.values()
        for _, mask in readable_pairs
        if (unknown := resolved.unknown_values(values[mask]))
    ]
    findings += Finding.of("mask-outside-classes", outside_classes)
    splits = {
        split: MaskedImages(
            [image for image, _ in readable_pairs],
            [mask for _, mask in readable_pairs],
            numpy.array([not resolved.table.classes.keys().isdisjoint(values[mask]) for _, mask in readable_pairs]),
        )
        for split, readable_pairs in readable.items()
    }
    return ParsedMasks(root, splits, resolved.names, findings, notes=resolved.notes, classes=resolved)


_UNREADABLE = "mask-unreadable"
_SIZES = "mask-size"
_COLOURED = "mask-coloured"
_INDEXED = "mask-indexed"


@dataclass(frozen=True)
class _PairContent:
    """The values of a pair's mask, or a problem and its location."""

    values: frozenset[int] = frozenset()
    problem: str = ""
    location: str = ""


def _read_all(root: Path, pairs: Sequence[Pair], *, coloured: bool) -> list[_PairContent]:
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        return list(pool.map(lambda pair: _read_pair(root, *pair, coloured=coloured), pairs))


def _read_pair(root: Path, image: str, mask: str, *, coloured: bool) -> _PairContent:
    try:
        height, width = read_size(root / image)
        kind = is_coloured(root / mask)
        size, values = unique_values(root / mask, coloured=bool(kind) or (coloured and kind is None))
    except UserError as error:
        return _PairContent(problem=_UNREADABLE, location=f"{mask} ({error})")
    if kind is not None and kind != coloured:
        examples = describe_values(sorted(values)[:4], coloured=kind)
        return _PairContent(problem=_COLOURED if kind else _INDEXED, location=f"{mask} (values {examples})")
    if size != (height, width):
        location = f"{mask} is {size[1]}x{size[0]}, {image} {width}x{height} (width x height)"
        return _PairContent(problem=_SIZES, location=location)
    return _PairContent(values)


def _by_stem(root: Path, folder: str, findings: list[Finding]) -> dict[str, str]:
    """Map the path of each image below a folder, without its suffix, to its path from the root."""
    stems: dict[str, str] = {}
    duplicates = []
    for inner, name in list_images(root, folder).items():
        if stems.setdefault(os.path.splitext(inner)[0], name) != name:
            duplicates.append(name)
    findings += Finding.of("name-repeated", duplicates)
    return stems
