"""What is doubtful about the values of masks, once the classes are known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy
from numpy.typing import NDArray

from visionkit.data.findings import Finding
from visionkit.data.mask_contents import ValueCounts
from visionkit.data.mask_values import format_colour
from visionkit.data.sources.masks.binary import area_values, is_near
from visionkit.data.sources.masks.classes import MaskClasses
from visionkit.data.sources.masks.guessing import describe_values, shorten, suggest_map
from visionkit.errors import UserError
from visionkit.structures.class_ids import IGNORE_INDEX

__all__ = ["Palettes", "check_levels", "palette_findings", "undeclared_void", "value_findings"]

_MAX_SMALL_ID = 100
_MAX_SHOWN = 3
_MAX_LISTED_VALUES = 8

Palettes = Mapping[str, tuple[NDArray[Any], NDArray[Any]]]
"""For each mask with a palette the ids that occur in it and their encoded colours, int64 (n,) each."""


def value_findings(masks: Mapping[str, ValueCounts], classes: MaskClasses) -> list[Finding]:
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


def undeclared_void(train_masks: Mapping[str, ValueCounts], classes: MaskClasses) -> list[Finding]:
    """That 255 was taken for a class although the other values are small ids, beside which it is void by custom."""
    values = set(classes.table.classes)
    if classes.levels is not None or IGNORE_INDEX not in values or max(values - {IGNORE_INDEX}) > _MAX_SMALL_ID:
        return []
    return Finding.of(
        "mask-void-class", [mask for mask, counts in train_masks.items() if IGNORE_INDEX in counts.values]
    )


def check_levels(
    split: str, masks: Mapping[str, ValueCounts], classes: MaskClasses, *, lossy: bool, is_mapped: bool
) -> None:
    """Check that the masks of a split are near-binary with the levels of train: else a class would vanish.

    Args:
        split: The split.
        masks: The values of each mask.
        classes: The classes, found in the training masks.
        lossy: Whether a mask's form changes values.
        is_mapped: Whether the user said that the two levels are all that there is.

    Raises:
        UserError: If a mask holds other values in more than 2 % of its pixels, or in areas.
    """
    if classes.levels is None:
        return
    low, high = classes.levels
    counted = {mask: counts.without(classes.ignored) for mask, counts in masks.items()}
    filled = {mask: counts for mask, counts in counted.items() if len(counts.values)}
    areas = area_values(list(filled.values()), classes.levels, lossy=lossy) if filled and not is_mapped else []
    odd = {
        mask: counts
        for mask, counts in filled.items()
        if numpy.isin(counts.values, areas).any() or not is_near(counts, classes.levels)
    }
    if not odd:
        return
    total = ValueCounts.merge([counts.without({low, high}) for counts in odd.values()])
    places = shorten(
        [f"{mask} ({describe_values(counts.values.tolist())})" for mask, counts in odd.items()], _MAX_SHOWN
    )
    if len(total.values) <= _MAX_LISTED_VALUES:
        others = "".join(f", {value}: NAME" for value in total.values.tolist())
        advice = f"{{{low}: {classes.names[0]}{others}, {high}: {classes.names[-1]}}}"
    else:
        advice = suggest_map(ValueCounts.merge(list(filled.values())))
    raise UserError(
        f"dataset.masks: the training masks hold {low} and {high}, but {len(odd)} mask(s) of {split} also hold other "
        f"values, in areas or in more than 2 % of the pixels: {places}. Expected the same values in all splits. Export "
        f"them alike, or say what each value means: 'dataset.class_map={advice}'"
    )


def palette_findings(palettes: Palettes, *, is_sure: bool) -> list[Finding]:
    """That an id is drawn in one colour by some masks and in another by others, so that it has no one meaning.

    Args:
        palettes: Those of all masks that are read as ids.
        is_sure: Whether ids are known to be right whatever their colours.
    """
    first: dict[int, tuple[int, str]] = {}
    conflicts: dict[bytes, str] = {}
    places = []
    for mask, (values, colours) in palettes.items():
        key = values.tobytes() + b"|" + colours.tobytes()
        if key not in conflicts:
            conflicts[key] = _conflict(mask, zip(values.tolist(), colours.tolist(), strict=True), first)
        if conflicts[key]:
            places.append(f"{mask} ({conflicts[key]})")
    if not places:
        return []
    found = sorted({colour for _, colours in palettes.values() for colour in colours.tolist()})
    names = (f"{_typed_colour(colour)}: {name}" for colour, name in zip(found[:4], "abcd", strict=False))
    colours_typed = f"{', '.join(names)}{', ...' if len(found) > 4 else ''}"
    code = "mask-palettes-by-id" if is_sure else "mask-palettes-differ"
    return Finding.of(code, places, colours=f"{{{colours_typed}}}")


def _typed_colour(code: int) -> str:
    """An encoded colour as a key on the command line, where commas are escaped."""
    return format_colour(code).replace(",", r"\,")


def _conflict(mask: str, drawn: Iterable[tuple[int, int]], first: dict[int, tuple[int, str]]) -> str:
    """The first id of a mask that an earlier one draws in another colour, in words; empty if there is none."""
    conflict = ""
    for value, colour in drawn:
        other, other_mask = first.setdefault(value, (colour, mask))
        if other != colour and not conflict:
            conflict = f"{value} is '{format_colour(colour)}', in {other_mask} '{format_colour(other)}'"
    return conflict
