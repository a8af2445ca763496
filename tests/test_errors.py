"""Suggestions for misspelt words."""

import os

import pytest

from visionkit.errors import UserError, did_you_mean
from visionkit.os_errors import explain_os_errors

NETS = ["resnet101", "resnet18", "resnet20", "lenet", "vgg11"]


@pytest.mark.parametrize(
    ("word", "suggestion"),
    [
        ("resnet", "resnet18"),
        ("ResNet18", "resnet18"),
        ("resnt101", "resnet101"),
        ("lenett", "lenet"),
        ("vgg", "vgg11"),
    ],
)
def test_the_nearest_word_is_suggested_and_of_those_that_go_on_alike_the_shortest(word, suggestion):
    assert did_you_mean(word, NETS) == f" Did you mean '{suggestion}'?"


def test_nothing_is_suggested_for_a_word_like_no_other():
    assert did_you_mean("zzzz", NETS) == ""


def test_a_current_folder_that_is_gone_is_told_as_that(tmp_path, monkeypatch):
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    with pytest.raises(UserError, match=r"the current folder is there no more.*cd FOLDER"), explain_os_errors():
        os.getcwd()
