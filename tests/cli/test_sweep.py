"""Which words make a sweep, and which are of its runs."""

import pytest

from visionkit.cli.compose import check_choice
from visionkit.cli.sweep import parse_sweep_arguments, run_sweep
from visionkit.errors import UserError

GROUPS = {"backbone": ["lenet", "resnet18", "resnet20", "vgg11"], "head": ["auto", "linear"]}


def test_words_of_the_sweep_itself_are_no_part_of_its_runs():
    words = parse_sweep_arguments(
        ["seed=0,1", "run_dir=a", "hydra/launcher=joblib", "hardware=cpu", "hardware.precision=32,bf16"], GROUPS
    )
    assert words.runs == ["seed=0,1", "hardware=cpu", "hardware.precision=32,bf16"]
    assert words.defining == ["seed=0,1", "hardware.precision=32,bf16"]
    assert (words.run_dir, words.resume) == ("a", False)


def test_a_key_of_hydras_that_would_do_nothing_is_refused():
    with pytest.raises(UserError, match=r"does nothing here\. Of Hydra's keys, a sweep knows hydra/launcher"):
        parse_sweep_arguments(["hydra.sweep.dir=x"], GROUPS)


def test_a_sweep_whose_values_are_none_is_refused():
    with pytest.raises(UserError, match=r"a sweep of no runs: one of seed=range\(0\)"):
        run_sweep(["seed=range(0)"], [])


@pytest.mark.parametrize(
    ("choice", "typed"),
    [
        ("lenet,resnet18", "backbone=lenet,resnet18"),
        ('["lenet", "resnet18"]', "backbone=lenet,resnet18"),
        ("resnet*", "'backbone=glob(resnet*)'"),
    ],
)
def test_several_choices_are_told_as_the_sweep_that_they_make(choice, typed):
    with pytest.raises(UserError) as error:
        check_choice("backbone", choice, [])
    assert str(error.value).endswith(f"python -m visionkit -m {typed}")
