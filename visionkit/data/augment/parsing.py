"""Parsing the augmentations of a configuration, and checking them against the targets of a data set; needs no torch."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated, Any

from pydantic import PlainValidator

from visionkit.data.augment.presets import AugmentPreset
from visionkit.data.augment.spec import AUGMENTATIONS, AugmentSpec
from visionkit.errors import UserError, plural
from visionkit.schema import describe, nested_errors, parse

__all__ = ["Augments", "check_targets", "parse_augments"]


def parse_augments(values: Mapping[str, Any] | None, *, where: str) -> tuple[AugmentSpec, ...]:
    """The augmentations of a mapping ``{name: {argument: value}}``, in its order; null leaves one out.

    Args:
        values: The mapping; null is an empty one.
        where: The key of the configuration, for messages.

    Raises:
        UserError: If a name or an argument is unknown, or an argument is missing or invalid.
    """
    if values is not None and not isinstance(values, Mapping):
        raise UserError(f"{where}: expected a mapping of augmentations to arguments, found {describe(values)}.")
    augments = []
    for name, arguments in (values or {}).items():
        try:
            cls = AUGMENTATIONS.get(name)
        except UserError as error:
            raise UserError(f"{where}: {error}") from None
        if arguments is not None:
            augments.append(parse(cls, arguments, where=f"{where}.{name}".lstrip(".")))
    return tuple(augments)


def check_targets(augments: Collection[AugmentSpec] | AugmentPreset, *, where: str, targets: Collection[str]) -> None:
    """Check that each augmentation supports one of the targets of the data set.

    Args:
        augments: The augmentations; a word has some for every target.
        where: The key of the configuration, for messages.
        targets: The kinds of target that the data set gives.

    Raises:
        UserError: If one supports none of them.
    """
    for augment in () if isinstance(augments, AugmentPreset) else augments:
        if augment.targets is not None and not augment.supports(targets):
            name = AUGMENTATIONS.name_of(type(augment))
            known = [other for other in AUGMENTATIONS.names() if AUGMENTATIONS.get(other).supports(targets)]
            raise UserError(
                f"{where}: '{name}' changes images with {plural(augment.targets[0])}, but this data set gives "
                f"{' and '.join(map(plural, sorted(targets)))}. {augment.elsewhere}"
                f"Expected some of {', '.join(known)}. Try: {where}.{name}=null"
            )


def _parse_field(values: Any) -> tuple[AugmentSpec, ...] | AugmentPreset:
    with nested_errors():
        return AugmentPreset(values) if isinstance(values, str) else parse_augments(values, where="")


Augments = Annotated[tuple[AugmentSpec, ...] | AugmentPreset, PlainValidator(_parse_field)]
"""A field whose value is a mapping of augmentations, or a word for some."""
