"""What a search may draw from."""

import pytest

from visionkit.errors import UserError
from visionkit.sweeps.space import Choices, NumberRange, SearchSettings

PLAIN = {"type": "optuna", "trials": 3, "sampler": "tpe", "seed": 0, "pruner": "none", "prune_after": 0}


def read(space, **changes):
    return SearchSettings.from_config({**PLAIN, "space": space, **changes})


def test_keys_may_be_dotted_or_nested():
    flat = read({"recipe.lr": {"low": 0.1, "high": 1.0}, "backbone": {"choices": ["lenet"]}})
    nested = read({"recipe": {"lr": {"low": 0.1, "high": 1.0}}, "backbone": {"choices": ["lenet"]}})
    assert flat == nested
    assert flat.space == {"recipe.lr": NumberRange(low=0.1, high=1.0), "backbone": Choices(("lenet",))}


@pytest.mark.parametrize(
    ("values", "whole"),
    [({"low": 1, "high": 4}, True), ({"low": 2, "high": 8, "step": 2}, True), ({"low": 0.0, "high": 4}, False)],
)
def test_whole_numbers_are_drawn_where_all_ends_are(values, whole):
    assert read({"x": values}).space["x"].is_integer is whole


def test_choices_become_what_would_be_typed():
    assert read({"x": {"choices": ["a", 3, 0.5, None, True, [1, 2]]}}).space["x"].texts == (
        "a", "3", "0.5", "null", "true", "[1, 2]",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({}, "sweep.space: nothing to search for"),
        ({"recipe.lr": 0.1}, "expected {low, high} or {choices}, found 0.1"),
        ({"recipe.lr": {"low": 1.0, "high": 0.1}}, "expected low below high"),
        ({"recipe.lr": {"low": 0, "high": 1, "log": True}}, "log: true needs low above 0"),
        ({"recipe.lr": {"low": 0.1}}, "sweep.space.recipe.lr.high: this key is required"),
        ({"recipe.lr": {"low": 0.1, "high": 1, "logg": True}}, "unknown key 'logg'. Did you mean 'log'?"),
        ({"recipe.lr": {"low": 1, "high": 9, "step": -1}}, "greater than 0"),
        ({"head": {"choices": []}}, "expected a list of values"),
        ({"head": {"choices": ["a", "a"]}}, "given twice"),
    ],
)
def test_a_wrong_space_is_explained(space, message):
    with pytest.raises(UserError) as error:
        read(space)
    assert message in str(error.value)


def test_a_wrong_setting_is_explained():
    with pytest.raises(UserError, match=r"sweep.trials: expected a number greater than 0"):
        read({"x": {"low": 1, "high": 2}}, trials=0)
    with pytest.raises(UserError, match=r"unknown key 'trails'\. Did you mean 'trials'"):
        read({"x": {"low": 1, "high": 2}}, trails=1)
