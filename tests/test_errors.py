"""Suggestions for misspelt words."""

import pytest

from visionkit.errors import did_you_mean

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
