"""The options of the verbs that compose nothing."""

import pytest

from visionkit.cli.completion import candidates
from visionkit.cli.options import parse_options
from visionkit.errors import UserError


def test_options_lose_their_quotes_and_plugins_are_left_out():
    assert parse_options("runs", ["root='my runs'", "format=json", "plugins=[mine]"]) == {
        "root": "my runs", "format": "json",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("verb", "word", "message"),
    [
        ("runs", "rot=x", "there is no 'rot' to set. Did you mean 'root'?"),
        ("runs", "backbone=lenet", "there is no 'backbone' to set. It takes root=, task=, format= alone"),
        ("runs", "sweeps", "'sweeps' is no key=value. Did you mean root=sweeps? Expected such as: "),
        ("runs", "~root", "there is no 'root' to set"),
        ("compare", "runs=a,b", "there is no 'runs' to set. Did you mean 'run'?"),
        ("compare", "format=yson", "format: expected text or json, found 'yson'. Did you mean 'json'?"),
    ],
)
def test_a_word_that_is_no_option_is_answered_with_what_to_type(verb, word, message):
    with pytest.raises(UserError) as error:
        parse_options(verb, [word])
    assert message in str(error.value)


def test_folders_without_their_key_are_answered_with_all_of_them():
    with pytest.raises(UserError, match=r"Did you mean run=a,b\?"):
        parse_options("compare", ["a", "b", "out=c.png"])


@pytest.mark.parametrize("verb", ["runs", "compare"])
@pytest.mark.parametrize(("flag", "message"), [("--cfg=job", "it runs nothing"), ("-m", "sweeps are of training runs")])
def test_flags_of_configurations_and_sweeps_are_refused(cli, verb, flag, message):
    code, out, err = cli(verb, flag)
    assert (code, out) == (2, "")
    assert message in err


def test_completion_offers_the_options_alone():
    words = candidates("visionkit runs ", {"task": ["classify", "detect"], "backbone": ["lenet"]})
    assert {"root=", "task=", "format="} <= {*words}
    assert "backbone=" not in words
    assert candidates("visionkit runs task=d", {"task": ["classify", "detect"]}) == ["task=detect"]
