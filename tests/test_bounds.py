"""Every number of a configuration has a smallest and a largest value."""

import dataclasses
from typing import Annotated, get_args, get_origin, get_type_hints

import pytest
from pydantic.fields import FieldInfo

from visionkit.data.sources import SOURCES
from visionkit.errors import UserError
from visionkit.heads import HEADS
from visionkit.losses.spec import LABEL_LOSSES, PIXEL_LOSSES
from visionkit.runs.config import _Scalars
from visionkit.schema import parse
from visionkit.settings import Debug, Hardware, Mix, Recipe
from visionkit.settings.optimizers import OPTIMIZERS
from visionkit.settings.recipe import EarlyStopping
from visionkit.settings.schedules import SCHEDULES

CHECKED_AS_A_PAIR = {"value_range"}
REGISTRIES = (OPTIMIZERS, SCHEDULES, SOURCES, HEADS, LABEL_LOSSES, PIXEL_LOSSES)
CLASSES = [
    *(Recipe, EarlyStopping, Mix, Hardware, Debug, _Scalars),
    *(registry.get(name) for registry in REGISTRIES for name in registry.names()),
]


def numbers(hint, marks=()):
    """The marks of each number of a type; a type that is checked by a function of its own has none."""
    if hint in (int, float):
        yield {type(mark).__name__ for mark in marks}
    elif get_origin(hint) is Annotated:
        kind, *found = get_args(hint)
        if all(isinstance(mark, FieldInfo) for mark in found):
            yield from numbers(kind, [part for mark in found for part in mark.metadata])
    else:
        for part in get_args(hint):
            yield from numbers(part, marks)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_every_number_has_two_bounds(cls):
    hints = get_type_hints(cls, include_extras=True)
    names = [field.name for field in dataclasses.fields(cls) if field.init and field.name not in CHECKED_AS_A_PAIR]
    found = {name: list(numbers(hints[name])) for name in names}
    lacking = [
        name for name, all_marks in found.items() for m in all_marks if not (m & {"Ge", "Gt"} and m & {"Le", "Lt"})
    ]
    assert lacking == []


@pytest.mark.parametrize("value", [0, -5, 10**12])
def test_a_number_beyond_a_bound_is_told_both(value):
    with pytest.raises(UserError) as error:
        parse(EarlyStopping, {"patience": value}, where="it")
    assert str(error.value) == (f"it.patience: expected a number greater than 0 and at most 1000000, found {value}.")
