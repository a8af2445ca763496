"""Keywords in Python become the words of a command, and mean what they say."""

import random
import string
from pathlib import Path

import numpy
import pytest

from visionkit.cli.compose import group_choices
from visionkit.cli.given_objects import take_objects
from visionkit.cli.keywords import as_words, config_folders, parse_call
from visionkit.cli.overrides import parse_overrides, read_value
from visionkit.cli.resolve import resolve
from visionkit.errors import UserError

GROUPS = group_choices([])


def _words(*words, several=False, **keywords):
    return as_words(words, keywords, groups=GROUPS, several=several)


def _values(**keywords):
    """Each single value as the command line reads it back."""
    parsed = parse_overrides(_words(**keywords), groups=GROUPS, options=("run",), verb="train")
    return {value.key: read_value(value) for value in parsed.values}


def test_words_stand_before_keywords_as_they_are_typed():
    assert _words("task=detect", "~recipe.clip_norm", seed=3) == ["task=detect", "~recipe.clip_norm", "seed=3"]


def test_a_choice_of_a_group_is_its_name():
    assert _words(backbone="resnet18", hardware="cpu", experiment=None) == [
        "backbone=resnet18", "hardware=cpu", "experiment=null",
    ]  # fmt: skip


def test_keys_of_a_group_are_words_of_their_own_and_leave_the_others():
    assert _words(recipe={"epochs": 5, "optimizer": {"type": "adamw"}}) == [
        "recipe.epochs=5", 'recipe.optimizer={type: "adamw"}',
    ]  # fmt: skip


def test_a_mapping_with_a_type_begins_a_group_anew():
    assert _words(dataset={"type": "voc", "root": "data"}) == ['dataset={type: "voc", root: "data"}']


@pytest.mark.parametrize(
    "value",
    [
        True, False, None, 0, -3, 1e-5, 1e300, 0.1, "text", "", "null", "true", "3", "1e-3", " spaced ", "a,b", "a=b",
        'a"b', "a'b", "back\\", "\\", '\\"', "C:\\new\\table", "[1, 2]", "{a: 1}", "(x)", "é ü 猫", "a\nb", "\t", "#",
        [1, 2], [], {}, {"a": [1, {"b": "x, y"}]}, ["a, b", None, 2.5], {"my-key": True, "a.b": 1},
    ],
    ids=repr,
)  # fmt: skip
def test_a_value_arrives_as_it_is_given(value):
    read = _values(**{"dataset.x": value})["dataset.x"]
    assert read == value
    assert type(read) is type(value)


def test_random_text_arrives_as_it_is_given():
    draw = random.Random(0)
    signs = string.punctuation + string.ascii_letters + " \t\n\\\"'\\\"'é"
    for _ in range(300):
        text = "".join(draw.choices(signs, k=draw.randrange(8)))
        if "${" not in text:
            assert _values(**{"dataset.x": [text], "dataset.y": text}) == {"dataset.x": [text], "dataset.y": text}


@pytest.mark.parametrize("path", ["data", "my photos/a, b", "it's", '"quoted"', "null", "C:\\photos", "[x]", "a=b"])
def test_paths_are_taken_literally(path):
    assert _values(run_dir=path, dataset={"root": Path(path)}) == {"run_dir": path, "dataset.root": path}
    assert _values(run_dir=None) == {"run_dir": None}


def test_numbers_of_numpy_are_numbers():
    values = _values(seed=numpy.int64(3), recipe={"lr": numpy.float64(0.5)}, strict=numpy.bool_(True))
    assert values == {"seed": 3, "recipe.lr": 0.5, "strict": True}
    assert [type(value) for value in values.values()] == [int, float, bool]


def test_a_tuple_is_a_list_and_one_value_even_in_a_sweep():
    assert _values(dataset={"image_size": (32, 64)}) == {"dataset.image_size": [32, 64]}
    assert _words(dataset={"image_size": (32, 64)}, several=True) == ["dataset.image_size=[32, 64]"]


def test_a_list_holds_the_values_of_a_sweep():
    words = _words(backbone=["lenet", "resnet20"], seed=[0, 1], recipe={"lr": [0.1]}, several=True)
    assert words == ["backbone=lenet,resnet20", "seed=0,1", "recipe.lr=0.1"]
    assert _words(dataset={"root": ["a", "b"]}, several=True) == ['dataset.root=choice("a","b")']


@pytest.mark.parametrize(
    ("words", "keywords", "message"),
    [
        ((), {"recipe": {"lr": object()}}, "recipe.lr: found a builtins.object, expected a number, text, a list"),
        ((), {"callbacks": [print]}, "callbacks: found a builtins.builtin_function_or_method, expected a number"),
        (({"recipe": 1},), {}, "found a builtins.dict among the words, expected text such as 'recipe.epochs=5'"),
        (("-m",), {}, "'-m' is a flag of the command line. Expected key=value"),
        (("seed=1",), {"seed": 2}, "'seed' is given twice: seed=1 and seed=2"),
        ((), {"dataset": {"type": "masks", "class_map": {"é": 1}}}, 'found the key "é", expected letters, digits'),
        ((), {"format": "json"}, "format: it says what a command prints"),
        (("format=json",), {}, "format: it says what a command prints"),
        ((), {"epochs": 3}, "recipe.epochs=3"),
    ],
)
def test_what_has_no_words_is_an_error(words, keywords, message):
    with pytest.raises(UserError) as error:
        parse_call("train", words, keywords)
    assert message in str(error.value)


def test_an_empty_list_of_a_sweep_is_an_error():
    with pytest.raises(UserError, match="seed: found an empty list, expected the values of the sweep"):
        _words(seed=[], several=True)


def test_options_of_a_verb_are_keywords_too(tmp_path):
    parsed = parse_call("train", (), {"run": tmp_path / "a b", "resume": True})
    assert parsed.options == {"run": f'"{tmp_path / "a b"}"', "resume": "true"}


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"run_dir": ""}, r'run_dir: found "", expected a path'),
        ({"run_dir": ["a"]}, r'run_dir: found \["a"\], expected a path'),
    ],
)
def test_a_value_that_would_be_taken_for_something_else_is_refused(keywords, message):
    with pytest.raises(UserError, match=message):
        _words(**keywords)


def test_none_is_no_path_and_no_run():
    assert _words(run_dir=None, weights=None, run=None) == ["run_dir=null", "weights=null"]


def test_a_list_that_holds_itself_is_refused():
    endless = []
    endless.append(endless)
    with pytest.raises(UserError, match="holds itself"):
        parse_call("train", (), {"dataset": {"type": "folder", "class_names": endless}})


@pytest.mark.parametrize("folder", [5, "", ["conf"]])
def test_a_config_dir_that_is_no_path_is_refused(folder):
    with pytest.raises(UserError, match=r"config_dir: found .*expected the path of a folder"):
        config_folders(folder)


def test_a_folder_without_a_word_on_its_kind_of_data_set_is_refused():
    for keywords in ({"dataset.root": "photos"}, {"dataset": {"root": "photos"}}):
        with pytest.raises(UserError, match=r"^dataset.root=photos: which kind .*dataset=folder dataset.root=photos"):
            resolve(parse_call("train", (), keywords), ())
    for words in (("dataset=voc",), ("dataset.type=voc",)):
        assert resolve(parse_call("train", words, {"dataset.root": "a"}), ())["dataset"]["root"] == "a"


def test_a_folder_given_as_a_path_is_no_object():
    keywords = {"dataset": Path("photos")}
    assert not take_objects(keywords)
    with pytest.raises(UserError, match="dataset: found an empty mapping, which names no data set"):
        take_objects({"dataset": {}})
    with pytest.raises(UserError, match=r"dataset: train is builtins.int, which has no items by number"):
        take_objects({"dataset": {"train": 5}})
