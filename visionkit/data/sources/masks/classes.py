"""The classes of mask files, from the configuration or from the values in the training masks."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from visionkit.data.mask_values import ValueTable, encode_colour, format_colour
from visionkit.errors import UserError, did_you_mean
from visionkit.schema import describe
from visionkit.structures.class_ids import IGNORE_INDEX, MAX_CLASSES

__all__ = ["ClassMap", "MaskClasses", "describe_values", "resolve_classes"]

_MAX_SHOWN = 12


@dataclass(frozen=True)
class ClassMap:
    """The parsed ``dataset.class_map``.

    Attributes:
        names: The class name of each value, an id or the `encode_colour` of a colour; None if it is ignored.
        coloured: Whether values are colours.
    """

    names: Mapping[int, str | None]
    coloured: bool

    @classmethod
    def parse(cls, class_map: Mapping[str, str | None]) -> ClassMap:
        """Parse ``{"7": road}`` or ``{"128,64,128": road}``.

        Raises:
            UserError: If a key is neither an id nor a colour, or both kinds are mixed.
        """
        ids = {int(key): name for key, name in class_map.items() if key.strip().isdecimal() and int(key) < 1 << 16}
        colours = {code: name for key, name in class_map.items() if (code := _colour(key)) is not None}
        if len(ids) + len(colours) < len(class_map) or (ids and colours):
            invalid = next((key for key in class_map if not key.strip().isdecimal() and _colour(key) is None), None)
            raise UserError(
                f"dataset.class_map: expected ids or colours as keys, all of one kind, found "
                f"{describe(invalid if invalid is not None else list(class_map))}. "
                "Try: dataset.class_map={0: sky, 1: road} or dataset.class_map={'128,64,128': road}"
            )
        return cls(colours or ids, bool(colours))


@dataclass(frozen=True)
class MaskClasses:
    """The classes of a data set with masks.

    Attributes:
        names: One per class, in the order of the class ids.
        table: Maps the values of mask files to class ids.
        ignored: The values that are ignored on purpose; other values without a class are reported.
        notes: Messages for the user.
    """

    names: tuple[str, ...]
    table: ValueTable
    ignored: frozenset[int]
    notes: tuple[str, ...] = ()

    def unknown_values(self, values: Collection[int]) -> list[int]:
        """The sorted values that have no class and are not ignored on purpose."""
        return sorted(set(values) - set(self.table.classes) - self.ignored)


def resolve_classes(
    train_values: Collection[int],
    *,
    classes: Sequence[str | None] | None,
    class_map: ClassMap | None,
    ignore_ids: Collection[int],
) -> MaskClasses:
    """Determine classes and the class id of each value.

    Args:
        train_values: The values in the training masks.
        classes: With ``class_map``, the names in the order of the class ids; without, the name of each id from 0, None
            if it is ignored. None takes the names of the map, else the values in the training masks.
        class_map: The class of each value; None if values are indices of ``classes``.
        ignore_ids: Values that are ignored, besides 255.

    Raises:
        UserError: If names, map and values contradict each other, no value has a class, or there are fewer than two
            classes or more than `MAX_CLASSES`.
    """
    ignored = frozenset({IGNORE_INDEX, *ignore_ids})
    notes: tuple[str, ...] = ()
    binary = set(train_values) == {0, IGNORE_INDEX} and IGNORE_INDEX not in ignore_ids
    if class_map is not None:
        _check_binary(class_map, binary=binary)
        names, class_ids = _names_from_map(class_map, classes)
        ignored |= {value for value, name in class_map.names.items() if name is None}
        ignored -= set(class_ids)
    elif binary:
        names, notes = _binary_names(classes)
        class_ids = {0: 0, IGNORE_INDEX: 1}
    elif classes is not None:
        _check_ignored(classes, ignore_ids)
        class_values = [value for value, name in enumerate(classes) if name is not None]
        names = tuple(name for name in classes if name is not None)
        class_ids = {value: label for label, value in enumerate(class_values)}
        ignored |= set(range(len(classes))) - set(class_values)
    else:
        class_values = sorted(set(train_values) - ignored)
        names, class_ids = tuple(map(str, class_values)), {value: label for label, value in enumerate(class_values)}
    _check_names(names)
    coloured = class_map is not None and class_map.coloured
    present = {class_ids[value] for value in train_values if value in class_ids}
    if not present:
        raise UserError(
            f"dataset.masks: nothing to train on: the training masks hold "
            f"{describe_values(sorted(train_values), coloured=coloured)}, and none of that is a class. Expected "
            f"{describe_values(list(class_ids), coloured=coloured)} in some. With dataset=masks, "
            "dataset.class_map={VALUE: NAME} says what each value means."
        )
    absent = [name for label, name in enumerate(names) if label not in present]
    if absent:
        notes = (*notes, f"{len(absent)} class(es) without a pixel in any training mask: {_shorten(absent)}")
    return MaskClasses(names, ValueTable(class_ids, coloured), ignored, notes)


def _names_from_map(
    class_map: ClassMap, classes: Sequence[str | None] | None
) -> tuple[tuple[str, ...], dict[int, int]]:
    named = [name for name in dict.fromkeys(class_map.names.values()) if name is not None]
    names = tuple(name for name in classes if name is not None) if classes is not None else tuple(named)
    unknown = [name for name in named if name not in names]
    if unknown:
        raise UserError(
            f"dataset.class_map: '{unknown[0]}' is none of dataset.classes ({_shorten(names)})."
            f"{did_you_mean(unknown[0], names)}"
        )
    unmapped = [name for name in names if name not in named]
    if unmapped:
        raise UserError(
            f"dataset.class_map: no value means '{unmapped[0]}', one of dataset.classes. Expected a value for each "
            f"class. Try: dataset.classes=null"
        )
    return names, {value: names.index(name) for value, name in class_map.names.items() if name is not None}


def _binary_names(classes: Sequence[str | None] | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    names = tuple(name for name in classes if name is not None) if classes is not None else ("background", "foreground")
    if len(names) != 2:
        raise UserError(
            f"dataset.classes: the training masks hold 0 and 255 only, as masks of one object on a background do, but "
            f"{len(names)} classes are given: {_shorten(names)}. Expected two. "
            "Try: dataset.classes=[background,object]"
        )
    return names, (f"masks hold 0 and 255: read as {names[0]} and {names[1]}",)


def _check_binary(class_map: ClassMap, *, binary: bool) -> None:
    if binary and not class_map.coloured and IGNORE_INDEX not in class_map.names:
        named = class_map.names.get(0) or "background"
        raise UserError(
            "dataset.class_map: the training masks hold 0 and 255 only, as masks of one object on a background do, but "
            f"the map says nothing of 255, which is ignored then. Try: dataset.class_map={{0: {named}, 255: object}}, "
            "or 255: null to ignore it"
        )


def _check_ignored(classes: Sequence[str | None], ignore_ids: Collection[int]) -> None:
    named = next((value for value in sorted(ignore_ids) if value < len(classes) and classes[value] is not None), None)
    if named is not None:
        raise UserError(
            f"dataset.ignore_ids: the id {named} is ignored, but dataset.classes calls it '{classes[named]}'. Expected "
            f"null in its place: the names stand for the ids 0, 1, 2 ..."
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


def _colour(key: str) -> int | None:
    text = key.strip()
    if text.startswith("#") and len(text) == 7:
        try:
            return int(text[1:], 16)
        except ValueError:
            return None
    parts = [part.strip() for part in text.strip("()[]").split(",")]
    if len(parts) == 3 and all(part.isdecimal() and int(part) < 256 for part in parts):
        return encode_colour(*map(int, parts))
    return None


def describe_values(values: Sequence[int], *, coloured: bool) -> str:
    """Format values for a message, as in configurations, at most the first `_MAX_SHOWN`."""
    return _shorten([f"'{format_colour(value)}'" if coloured else str(value) for value in values])


def _shorten(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MAX_SHOWN} more" if len(names) > _MAX_SHOWN else ""
    return f"{', '.join(names[:_MAX_SHOWN])}{more}"
