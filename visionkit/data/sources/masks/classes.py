"""The classes of mask files, from the configuration or from the values in the training masks."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from visionkit.data.mask_contents import ValueCounts
from visionkit.data.mask_values import ValueTable
from visionkit.data.sources.masks.binary import are_levels, find_levels, nearest_level
from visionkit.data.sources.masks.class_map import ClassMap
from visionkit.data.sources.masks.guessing import check_guessable, describe_values, shorten
from visionkit.errors import UserError, did_you_mean
from visionkit.structures.class_ids import BACKGROUND, IGNORE_INDEX, MAX_CLASSES

__all__ = ["MaskClasses", "check_ignored", "resolve_classes"]

_MAX_BACKGROUND = 16


@dataclass(frozen=True)
class MaskClasses:
    """The classes of a data set with masks.

    Attributes:
        names: One per class, in the order of the class ids.
        table: Maps the values of mask files to class ids.
        ignored: The values that are ignored on purpose; other values without a class are reported.
        levels: The two values of near-binary masks; other values are read as the nearer one, and reported.
        absent: The names of classes without a pixel in any training mask.
        notes: Messages for the user.
    """

    names: tuple[str, ...]
    table: ValueTable
    ignored: frozenset[int]
    levels: tuple[int, int] | None = None
    absent: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def unknown_values(self, values: Collection[int]) -> list[int]:
        """The sorted values that have no class and are not ignored on purpose."""
        return sorted(value for value in values if value not in self.table.classes and value not in self.ignored)

    def stray_values(self, counts: ValueCounts) -> ValueCounts:
        """The values of a mask that are not a level but are read as one; none where masks are not near-binary."""
        if self.levels is None:
            return counts.without(counts.values.tolist())
        return counts.without({*self.levels, *self.ignored, *self.unknown_values(counts.values.tolist())})


def resolve_classes(
    train_masks: Sequence[ValueCounts],
    *,
    classes: Sequence[str | None] | None,
    class_map: ClassMap | None,
    ignore: Collection[int],
    lossy: bool,
) -> MaskClasses:
    """Determine classes and the class id of each value, from all training masks.

    Args:
        train_masks: The values in each training mask.
        classes: With ``class_map``, the names in the order of the class ids; without, the name of each id from 0, None
            if it is ignored. None takes the names of the map, else the values in the training masks.
        class_map: The class of each value; None if values are indices of ``classes``.
        ignore: Values that are ignored.
        lossy: Whether a mask's form changes values, as JPEG does.

    Raises:
        UserError: If names, map and values contradict each other, no value has a class, there are fewer than two
            classes or more than `MAX_CLASSES`, or values without names that cannot be classes.
    """
    ignored = frozenset(ignore)
    counted = [mask.without(ignored) for mask in train_masks]
    total = ValueCounts.merge(counted)
    values = total.values.tolist()
    levels = _find_levels(counted, values, classes, class_map, lossy=lossy)
    notes: tuple[str, ...] = ()
    if class_map is not None:
        names, class_ids = _names_from_map(class_map, classes)
        ignored = (ignored | {value for value, name in class_map.names.items() if name is None}) - set(class_ids)
        if levels is not None:
            positions = {0: class_ids[levels[0]], 1: class_ids[levels[1]]}
            class_ids = {value: positions[upper] for value, upper in nearest_level(levels).items()}
    elif levels is not None:
        names, notes = _binary_names(classes, levels)
        class_ids = nearest_level(levels)
    elif classes is not None:
        check_ignored(classes, ignore)
        class_values = [value for value, name in enumerate(classes) if name is not None]
        names = tuple(name for name in classes if name is not None)
        class_ids = {value: label for label, value in enumerate(class_values)}
        ignored |= set(range(len(classes))) - set(class_values)
    else:
        check_guessable(total, lossy=lossy)
        names, class_ids = tuple(map(str, values)), {value: label for label, value in enumerate(values)}
        if values != list(range(len(values))):
            notes = (
                f"masks hold {describe_values(values)}: each value is a class, called by its number. Names: "
                f"dataset.class_map={{{values[0]}: NAME, ...}}",
            )
    class_ids = {value: label for value, label in class_ids.items() if value not in ignored}
    _check_names(names)
    coloured = class_map is not None and class_map.coloured
    present = {class_ids[value] for value in values if value in class_ids}
    _check_present(present, ValueCounts.merge(train_masks).values.tolist(), list(class_ids), coloured=coloured)
    absent = tuple(name for label, name in enumerate(names) if label not in present)
    return MaskClasses(names, ValueTable(class_ids, coloured), ignored, levels, absent, notes)


def check_ignored(classes: Sequence[str | None], ignore: Collection[int]) -> None:
    """Check that no id is ignored that has a name.

    Raises:
        UserError: If there is one.
    """
    named = next((value for value in sorted(ignore) if value < len(classes) and classes[value] is not None), None)
    if named is not None:
        raise UserError(
            f"dataset.ignore: the id {named} is ignored, but dataset.classes calls it '{classes[named]}'. Expected "
            f"null in its place: the names stand for the ids 0, 1, 2 ..."
        )


def _find_levels(
    masks: Sequence[ValueCounts],
    values: Sequence[int],
    classes: Sequence[str | None] | None,
    class_map: ClassMap | None,
    *,
    lossy: bool,
) -> tuple[int, int] | None:
    """The two levels of near-binary masks; None if they are none, or if names or a map say what each value is."""
    if class_map is None:
        is_listed = classes is not None and max(values, default=0) < len(classes)
        return None if is_listed else find_levels(masks, lossy=lossy)
    if class_map.coloured:
        return None
    if len(class_map.names) == 2 and None not in class_map.names.values():
        low, high = sorted(class_map.names)
        if are_levels(masks, (low, high)):
            return low, high
    levels = find_levels(masks, lossy=lossy)
    if levels is not None and levels[1] not in class_map.names:
        _refuse_binary(class_map, levels)
    return None


def _names_from_map(
    class_map: ClassMap, classes: Sequence[str | None] | None
) -> tuple[tuple[str, ...], dict[int, int]]:
    named = [name for name in dict.fromkeys(class_map.names.values()) if name is not None]
    names = tuple(name for name in classes if name is not None) if classes is not None else tuple(named)
    unknown = [name for name in named if name not in names]
    if unknown:
        raise UserError(
            f"dataset.class_map: '{unknown[0]}' is none of dataset.classes ({shorten(names)})."
            f"{did_you_mean(unknown[0], names)}"
        )
    unmapped = [name for name in names if name not in named]
    if unmapped:
        raise UserError(
            f"dataset.class_map: no value means '{unmapped[0]}', one of dataset.classes. Expected a value for each "
            f"class. Try: dataset.classes=null"
        )
    return names, {value: names.index(name) for value, name in class_map.names.items() if name is not None}


def _binary_names(
    classes: Sequence[str | None] | None, levels: tuple[int, int]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    low, high = levels
    names: tuple[str, ...] = (BACKGROUND, "foreground") if low <= _MAX_BACKGROUND else (str(low), str(high))
    if classes is not None:
        names = tuple(name for name in classes if name is not None)
    if len(names) != 2:
        void = f", or dataset.ignore={high} if that is void" if high == IGNORE_INDEX else ""
        raise UserError(
            f"dataset.classes: the training masks hold {low} and {high} only, as masks of one object on a background "
            f"do, but {len(names)} classes are given: {shorten(names)}. Expected two. "
            f"Try: dataset.classes=[background,object]{void}"
        )
    return names, (f"masks hold {low} and {high}: read as {names[0]} and {names[1]}",)


def _refuse_binary(class_map: ClassMap, levels: tuple[int, int]) -> None:
    low, high = levels
    named = class_map.names.get(low) or BACKGROUND
    raise UserError(
        f"dataset.class_map: the training masks hold {low} and {high} only, as masks of one object on a background do, "
        f"but the map says nothing of {high}, which is ignored then. Try: "
        f"'dataset.class_map={{{low}: {named}, {high}: object}}', or {high}: null to ignore it"
    )


def _check_names(names: Sequence[str]) -> None:
    if len(names) > MAX_CLASSES:
        raise UserError(
            f"dataset.classes: {len(names)} classes, but a mask has room for {MAX_CLASSES} and the ignored pixels. "
            "Expected fewer: join some with dataset.class_map. Masks saved as JPEG have such values by accident."
        )
    duplicate = next((name for row, name in enumerate(names) if name in names[:row]), None)
    if duplicate is not None:
        raise UserError(f"dataset.classes: '{duplicate}' is there twice. Expected a name of its own for each class.")
    if len(names) < 2:
        raise UserError(
            f"dataset.classes: found {len(names)} class(es) in the training masks{f' ({names[0]})' if names else ''}, "
            "beside ignored pixels. Expected two or more, the background being one."
        )


def _check_present(
    present: Collection[int], values: Sequence[int], class_values: Sequence[int], *, coloured: bool
) -> None:
    if not present:
        raise UserError(
            f"dataset.masks: nothing to train on: the training masks hold "
            f"{describe_values(values, coloured=coloured)}, and none of that is a class. Expected "
            f"{describe_values(class_values, coloured=coloured)} in some. With dataset=masks, "
            "'dataset.class_map={VALUE: NAME}' says what each value means."
        )
