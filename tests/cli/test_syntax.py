"""How arguments are written."""

import pytest

from visionkit.cli.syntax import Override, check_arguments
from visionkit.errors import UserError


@pytest.mark.parametrize(
    ("argument", "override"),
    [
        ("a.b=c=d", Override("a.b", "c=d")),
        ("++a=1", Override("a", "1")),
        ("+a=1", Override("a", "1", add=True)),
        ("~a", Override("a", delete=True)),
        ("~a=1", Override("a", "1", delete=True)),
        ("a", None),
        ("=1", None),
        ("~", None),
    ],
)
def test_an_argument_is_split_at_its_first_equals_sign(argument, override):
    assert Override.parse(argument) == override


@pytest.mark.parametrize(
    "words",
    [
        ["seed=1", "+seed=2"],
        ["seed=1", "++seed=1"],
        ["~seed", "seed=2"],
        ["seed=1", "recipe.lr=3", "seed=2"],
    ],
)
def test_a_key_given_twice_is_refused_with_both(words):
    with pytest.raises(UserError) as error:
        check_arguments(words)
    assert f"'seed' is given twice: {words[0]} and {words[-1]}." in str(error.value)


@pytest.mark.parametrize("words", [["head=fcos", "head.type=unet"], ["recipe.optimizer.type=a", "recipe.optimizer=b"]])
def test_a_type_is_a_choice_and_is_given_once_too(words):
    with pytest.raises(UserError, match=f"is given twice: {words[0]} and {words[1]}"):
        check_arguments(words)


def test_keys_of_which_one_lies_below_the_other_are_different_keys():
    check_arguments(["head=linear", "head.label_smoothing=0.1", "recipe.optimizer=adam", "recipe.optimizer.eps=1"])


def test_in_a_sweep_both_values_can_have_a_run():
    with pytest.raises(UserError, match="For a run with each: -m seed=0,1,2"):
        check_arguments(["seed=0,1", "seed=1,2"], multirun=True)


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["recipe.lr", "=0.1"], "Type recipe.lr=0.1"),
        (["recipe.lr", "=", "0.1"], "Type recipe.lr=0.1"),
        (["lr", "=", "0.1"], "Type recipe.lr=0.1"),
        (["recipe.lr=", "0.1"], "Type it without spaces: recipe.lr=0.1"),
        (["recipe.lr = 0.1"], "Type recipe.lr=0.1"),
        (["run_dir="], "Type run_dir=VALUE, or run_dir=null for none"),
        (["recipe.lr=", "seed=1"], "Type recipe.lr=VALUE"),
        (["~seed="], "Type ~seed"),
    ],
)
def test_spaces_and_missing_values_are_told_with_what_to_type(words, meant):
    with pytest.raises(UserError) as error:
        check_arguments(words)
    assert str(error.value).endswith(meant)


@pytest.mark.parametrize(
    ("words", "sign"),
    [
        (["a='x"], "quote '"),
        (["a=\"it's"], 'quote "'),
        (["a=[1,2"], "bracket ["),
        (["a={b: [1}"], "bracket {"),
        (["a=choice(1,2"], "bracket ("),
    ],
)
def test_what_is_opened_and_not_closed_is_named(words, sign):
    with pytest.raises(
        UserError, match=rf"the {sign.replace('[', chr(92) + '[').replace('(', chr(92) + '(')} is not clo"
    ):
        check_arguments(words)


def test_a_value_that_the_shell_has_split_is_put_together():
    with pytest.raises(UserError, match=r"Quote it: 'a=\{b: 1, c: 2\}'"):
        check_arguments(["a={b:", "1,", "c:", "2}", "seed=1"])


@pytest.mark.parametrize(
    "word", ['a="it\'s"', "a='x\\'y'", "a=[1,[2]]", "a='['", "run_dir=it's", "dataset.root=a[1", "a=tag(x,choice('1'))"]
)
def test_what_is_closed_and_paths_are_accepted(word):
    check_arguments([word])


def test_what_no_configuration_can_hold_is_refused_but_images_may_lie_at_any_path():
    with pytest.raises(UserError, match=r"no text in UTF-8, which config.yaml cannot hold.*ln -s OLD NEW"):
        check_arguments(["run_dir=a\udcff"])
    with pytest.raises(UserError, match="character of the code 0"):
        check_arguments(["seed=1", "run_dir=a\0b"])
    check_arguments(["source=a\udcff", "out=b\udcff", "run=c\udcff", "run_dir=\U0001f600"])
