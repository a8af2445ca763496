"""Images and their mask files: paired, looked through without torch, odd ones found and named."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
from numpy.typing import NDArray

from visionkit.data.findings import Finding
from visionkit.data.images import read_size
from visionkit.data.mask_values import found_values, is_coloured
from visionkit.data.sources.annotations import ParsedDataset, existing_images
from visionkit.data.sources.masks.classes import MaskClasses, describe_values
from visionkit.errors import UserError

__all__ = ["ParsedMasks", "MaskedImages", "Pair", "pair_files", "read_pairs"]

Pair = tuple[str, str]
"""The names of an image and of its mask, relative to the root."""


@dataclass(frozen=True)
class MaskedImages:
    """The images of a split, or of a whole set, with their masks.

    Attributes:
        names: Of the images, relative to the root, with ``/`` between the parts.
        masks: Of their masks, in the same order.
        classed: bool (N,), which masks have a pixel of a class at all.
    """

    names: Sequence[str]
    masks: Sequence[str]
    classed: NDArray[Any]

    def __len__(self) -> int:
        return len(self.names)

    def select(self, positions: NDArray[Any]) -> MaskedImages:
        """The images at these positions, int64 (M,), in this order."""
        names, masks = ([each[i] for i in positions] for each in (self.names, self.masks))
        return MaskedImages(names, masks, self.classed[positions])


@dataclass(frozen=True)
class ParsedMasks(ParsedDataset[MaskedImages]):
    """What reading a data set's files gave, with the meaning of the masks' values.

    Attributes:
        classes: Names and values.
    """

    classes: MaskClasses | None = None


def pair_files(root: Path, images: str, masks: str, findings: list[Finding], *, mask_suffix: str = "") -> list[Pair]:
    """Pair the images below one folder with the masks below another that have the same name, but for the suffix.

    Args:
        root: The data set's folder.
        images: The folder of the images, relative to the root.
        masks: That of the masks.
        findings: Grows by what has no partner.
        mask_suffix: What the names of masks have behind those of their images.

    Raises:
        UserError: If a folder is empty, or there is no pair at all.
    """
    found, there = (_by_stem(root, folder, findings) for folder in (images, masks))
    for folder, files, what in ((images, found, "images"), (masks, there, "masks")):
        if not files:
            raise UserError(f"dataset.{what}: no {what} in '{root / folder}'. Expected image files there.")
    cut = {stem.removesuffix(mask_suffix): name for stem, name in there.items() if stem.endswith(mask_suffix)}
    paired = [stem for stem in found if stem in cut]
    if not paired:
        raise UserError(
            f"dataset.masks: none of the {len(found)} images in '{root / images}' has a mask of its own name in "
            f"'{root / masks}': found the image '{next(iter(found.values()))}' and the mask "
            f"'{next(iter(there.values()))}'. Expected the same names, but for the ending; what masks have "
            "more is said by dataset.mask_suffix=_mask"
        )
    findings += Finding.of("image(s) without a mask", [name for stem, name in found.items() if stem not in cut])
    findings += Finding.of("mask(s) for a missing image", [name for stem, name in cut.items() if stem not in found])
    return [(found[stem], cut[stem]) for stem in paired]


def read_pairs(
    root: Path,
    pairs: Mapping[str, Sequence[Pair]],
    findings: list[Finding],
    *,
    coloured: bool,
    settle: Callable[[Collection[int]], MaskClasses],
) -> ParsedMasks:
    """Look through all masks.

    Args:
        root: The data set's folder.
        pairs: Images and masks of each split.
        findings: What was odd so far.
        coloured: Whether the masks' values are colours.
        settle: Makes classes of the values that the training masks hold.

    Raises:
        UserError: If no pair of a split is left, or as ``settle``.
    """
    kept: dict[str, list[Pair]] = {}
    values: dict[str, frozenset[int]] = {}
    for split, some in pairs.items():
        looks = _look_at_all(root, some, coloured=coloured)
        good = [pair for pair, look in zip(some, looks, strict=True) if not look.problem]
        problems = dict.fromkeys(look.problem for look in looks if look.problem)
        odd = [
            finding
            for problem in problems
            for finding in Finding.of(problem, [look.place for look in looks if look.problem == problem])
        ]
        findings += odd
        if not good:
            raise UserError(
                f"dataset.masks: nothing is left of the {len(some)} images of {split}:"
                f"{''.join(f' {finding.note}.' for finding in odd)} {_remedy(problems)}".rstrip()
            )
        kept[split] = good
        values |= {pair[1]: look.values for pair, look in zip(some, looks, strict=True)}
    classes = settle(frozenset().union(*(values[mask] for _, mask in kept["train"])))
    outside = [
        f"{mask} ({describe_values(strange, coloured=coloured)})"
        for good in kept.values()
        for _, mask in good
        if (strange := classes.odd(values[mask]))
    ]
    findings += Finding.of("mask(s) with values outside the classes", outside, remedy="ignored there")
    splits = {
        split: MaskedImages(
            [image for image, _ in good],
            [mask for _, mask in good],
            numpy.array([not classes.table.classes.keys().isdisjoint(values[mask]) for _, mask in good]),
        )
        for split, good in kept.items()
    }
    return ParsedMasks(root, splits, classes.names, findings, notes=classes.notes, classes=classes)


_UNREADABLE = "mask(s) or image(s) that cannot be read"
_SIZES = "mask(s) of another size than their image"
_COLOURED = "RGB mask(s) where ids are expected"
_INDEXED = "index mask(s) where colours are expected"


@dataclass(frozen=True)
class _Look:
    """What a glance at a pair shows: the mask's values, or what is wrong and where."""

    values: frozenset[int] = frozenset()
    problem: str = ""
    place: str = ""


def _look_at_all(root: Path, pairs: Sequence[Pair], *, coloured: bool) -> list[_Look]:
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        return list(pool.map(lambda pair: _look(root, *pair, coloured=coloured), pairs))


def _look(root: Path, image: str, mask: str, *, coloured: bool) -> _Look:
    try:
        height, width = read_size(root / image)
        kind = is_coloured(root / mask)
        size, values = found_values(root / mask, coloured=bool(kind) or (coloured and kind is None))
    except UserError as error:
        return _Look(problem=_UNREADABLE, place=f"{mask} ({error})")
    if kind is not None and kind != coloured:
        few = describe_values(sorted(values)[:4], coloured=kind)
        return _Look(problem=_COLOURED if kind else _INDEXED, place=f"{mask} (values {few})")
    if size != (height, width):
        place = f"{mask} is {size[1]}x{size[0]}, {image} {width}x{height} (width x height)"
        return _Look(problem=_SIZES, place=place)
    return _Look(values)


def _remedy(problems: Collection[str]) -> str:
    if _COLOURED in problems:
        return "Say what each colour means: dataset.class_map={'0,0,0': background, '128,0,0': thing}"
    if _INDEXED in problems:
        return "Say what each id means: dataset.class_map={0: background, 1: thing}"
    return ""


def _by_stem(root: Path, folder: str, findings: list[Finding]) -> dict[str, str]:
    """The images below a folder: the path in the folder without its ending, to the path from the root."""
    stems: dict[str, str] = {}
    twice = []
    for inner, name in existing_images(root, folder).items():
        if stems.setdefault(os.path.splitext(inner)[0], name) != name:
            twice.append(name)
    findings += Finding.of("file(s) named like another but for the ending", twice)
    return stems
