"""Mappings to dataclasses: strict values, and mistakes in words."""

import pickle
from dataclasses import dataclass, field
from typing import Annotated, Literal

import pytest
from pydantic import Field

from visionkit.errors import UnknownKeyError, UserError
from visionkit.registry import Registry, load_plugins
from visionkit.schema import STRICT, describe, parse, parse_typed, quote
from visionkit.settings import Hardware, Recipe
from visionkit.sizes import ImageSize


@dataclass(frozen=True, kw_only=True)
class Inner:
    __pydantic_config__ = STRICT
    rate: Annotated[float, Field(gt=0)] = 1.0


@dataclass(frozen=True, kw_only=True)
class Outer:
    count: int
    mode: Literal["fast", "slow"] = "fast"
    size: int | tuple[int, int] = 1
    inner: Inner = field(default_factory=Inner)


def test_lists_stand_for_tuples_and_whole_numbers_for_floats():
    made = parse(Outer, {"count": 2, "size": [3, 4], "inner": {"rate": 2}}, where="it")
    assert made == Outer(count=2, size=(3, 4), inner=Inner(rate=2.0))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"count": "2"}, 'it.count: expected a whole number, found "2".'),
        ({"count": True}, "it.count: expected a whole number, found true."),
        ({"count": 2.5}, "it.count: expected a whole number, found 2.5."),
        ({"count": None}, "it.count: expected a whole number, found nothing (null)."),
        ({}, "it.count: this key is required and is not given."),
        ({"cuont": 2}, "it: unknown key 'cuont'. Did you mean 'count'? Known keys: count, mode, size, inner."),
        ({"count": 1, "mode": "fats"}, "it.mode: expected 'fast' or 'slow', found \"fats\"."),
        ({"count": 1, "size": "x"}, 'it.size: expected a whole number or a list, found "x".'),
        ({"count": 1, "inner": {"rate": 0}}, "it.inner.rate: expected a number greater than 0, found 0."),
        ({"count": 1, "inner": {"rte": 1}}, "it.inner: unknown key 'rte'. Did you mean 'rate'? Known keys: rate."),
        ([1], "it: expected a mapping of keys to values, found [1]."),
        ({"count": print}, "it: only plain values are allowed"),
    ],
)
def test_a_mistake_names_place_key_and_what_was_expected(values, message):
    with pytest.raises(UserError) as error:
        parse(Outer, values, where="it")
    assert str(error.value).startswith(message)


def test_a_type_makes_the_class_it_names():
    registry: Registry[object] = Registry("thing")
    registry.register("outer")(Outer)
    assert parse_typed(registry, {"type": "outer", "count": 3}, where="it") == Outer(count=3)
    with pytest.raises(UserError, match=r"it: no thing is called 'otter'. Did you mean 'outer'\?"):
        parse_typed(registry, "otter", where="it")


def test_one_name_for_two_classes_is_refused():
    registry: Registry[object] = Registry("thing")
    registry.register("a")(Inner)
    registry.register("a")(Inner)
    with pytest.raises(UserError, match="thing 'a' is defined twice"):
        registry.register("a")(Outer)


def test_a_plugin_that_is_not_there_is_named():
    with pytest.raises(UserError, match="plugin 'no_such_module' cannot be imported"):
        load_plugins(["no_such_module"])


def test_a_plugin_that_fails_says_why(tmp_path, monkeypatch):
    (tmp_path / "bad_plugin.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(
        UserError,
        match=r"plugin 'bad_plugin' fails while it is imported \(.*bad_plugin.py, line 1\): ZeroDivisionError",
    ):
        load_plugins(["bad_plugin"])


def bomb() -> list[object]:
    value: list[object] = ["lol"]
    for _ in range(60):
        value = [value] * 9
    return value


def nested() -> list[object]:
    value: list[object] = []
    for _ in range(100_000):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "nothing (null)"),
        ({"a": [1, True, None, 0.5], 2: "größe"}, '{"a": [1, true, null, 0.5], "2": "größe"}'),
        ("\x1b[31mred\u202e", '"\\u001b[31mred\\u202e"'),
        ("x" * 59, '"' + "x" * 56 + "..."),
        (-(10**30), "-1" + "0" * 30),
        (b"ab", "\"b'ab'\""),
        (float("nan"), "NaN"),
    ],
)
def test_a_value_is_described_in_at_most_sixty_characters(value, text):
    assert describe(value) == text


VAST = {
    "bomb": bomb,
    "nested": nested,
    "text": lambda: "y" * 200_000_000,
    "list": lambda: [0] * 10_000_000,
    "key": lambda: {"k" * 100_000_000: 1},
}


@pytest.mark.parametrize("value", VAST)
def test_what_is_vast_is_described_without_a_walk_through_it(value):
    import tracemalloc

    value = VAST[value]()
    tracemalloc.start()
    text = describe(value)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (len(text), text[-3:]) == (60, "...")
    assert peak < 100_000


def test_of_a_number_of_thousands_of_digits_their_count_is_said():
    assert describe(10**5000) == "a number of 5,001 digits"


def test_an_unknown_key_is_quoted_without_its_control_characters():
    assert quote("a\x1b") == "'a\\u001b'"
    with pytest.raises(UserError, match=r"unknown key 'k{50,56}\.\.\.'"):
        parse(Outer, {"k" * 100_000: 1}, where="it")


def test_values_that_are_nested_too_deeply_are_refused():
    with pytest.raises(UserError, match="it: only plain values are allowed"):
        parse(Outer, {"count": nested()}, where="it")


def test_an_unknown_key_that_looks_like_a_type_is_named():
    with pytest.raises(UserError, match=r"unknown key 'Int\[x\]'"):
        parse(Hardware, {"Int[x]": 1}, where="hardware")


@pytest.mark.parametrize("values", [None, 5, "os:system", []])
def test_a_section_that_is_no_mapping_is_named(values):
    for cls, name in ((Hardware, "hardware"), (Recipe, "recipe")):
        with pytest.raises(UserError, match=f"^{name}: expected a mapping"):
            cls.from_config(values)


@dataclass(frozen=True, kw_only=True)
class Sized:
    size: ImageSize | None


@pytest.mark.parametrize(("value", "size"), [(32, 32), ([64, 96], (64, 96)), (None, None), (65_536, 65_536)])
def test_a_size_is_one_number_or_height_and_width(value, size):
    assert parse(Sized, {"size": value}, where="it").size == size


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ([32], "[32]. Try 32 or [32,32]."),
        ([32, 64, 3], "[32, 64, 3]. Try 32 or [32,64]."),
        ("32x64", '"32x64". Try 32 or [32,64].'),
        ("32,64", '"32,64". Try 32 or [32,64].'),
        (32.0, "32.0. Try 32 or [32,32]."),
        ([32, 0], "[32, 0]. Try 32 or [32,32]."),
        (0, "0. Try 224 or [224,224]."),
        (True, "true. Try 224 or [224,224]."),
        ([], "[]. Try 224 or [224,224]."),
        (65_537, "65537. Try 224 or [224,224]."),
        ([[3, 4], 5], "[[3, 4], 5]. Try 3 or [3,4]."),
    ],
)
def test_what_is_no_size_says_what_to_type(value, found):
    with pytest.raises(UserError) as error:
        parse(Sized, {"size": value}, where="it")
    assert str(error.value) == f"it.size: expected a number of pixels up to 65,536 or [height, width], found {found}"


@dataclass(frozen=True)
class SizeAndPair:
    """A size, and a pair."""

    size: int | tuple[int, int]
    pair: tuple[float, float] = (0.0, 0.0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"size": [32]}, "x.size: expected a whole number or a list of 2 values, found [32]."),
        ({"size": []}, "x.size: expected a whole number or a list of 2 values, found []."),
        ({"size": [1, 2, 3]}, "x.size: expected a whole number or a list of 2 values, found [1, 2, 3]."),
        ({"size": 1, "pair": [0.5]}, "x.pair: expected a list of 2 values, found [0.5]."),
    ],
)
def test_a_list_of_another_length_says_how_long_it_is_to_be(values, message):
    with pytest.raises(UserError) as error:
        parse(SizeAndPair, values, where="x")
    assert str(error.value) == message


def test_an_unknown_key_says_where_it_was_found_also_in_another_process():
    error = UnknownKeyError("epoch", parent="recipe", known=["epochs"]).within("runs.first")
    copy = pickle.loads(pickle.dumps(error.suggesting(" Did you mean 'all.epoch'?")))
    assert (copy.parent, copy.key) == ("runs.first.recipe", "epoch")
    assert str(copy) == "runs.first.recipe: unknown key 'epoch'. Did you mean 'all.epoch'? Known keys: epochs."
