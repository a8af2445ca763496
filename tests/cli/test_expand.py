"""What stands for several values."""

import pytest

from visionkit.cli.expand import Interval, combinations, sweep_values
from visionkit.errors import UserError

GROUPS = {"backbone": ["lenet", "resnet18", "resnet20", "vgg11"], "head": ["auto", "linear"]}


@pytest.mark.parametrize(
    ("word", "values"),
    [
        ("seed=0,1", ["0", "1"]),
        ("seed=range(1,4)", ["1", "2", "3"]),
        ("recipe.lr=choice(0.1,0.01)", ["0.1", "0.01"]),
        ("backbone=lenet,my/net.yaml", ["lenet", "my/net.yaml"]),
        ("backbone=glob(resnet*)", ["resnet18", "resnet20"]),
        ("backbone=glob([*],exclude=resnet*)", ["lenet", "vgg11"]),
        ("recipe.optimizer.betas=[0.9,0.99],[0.8,0.9]", ["[0.9,0.99]", "[0.8,0.9]"]),
        ("+seed=0,1", ["0", "1"]),
        ("weights=choice(null,imagenet)", ["null", "imagenet"]),
    ],
)
def test_several_values_are_read_by_hydras_grammar(word, values):
    assert sweep_values(word, GROUPS) == values


@pytest.mark.parametrize(
    "word",
    [
        "seed=0",
        "plugins=[a,b]",
        "dataset.root=a,b",
        "run_dir=a,b",
        "~backbone.stages.c1",
        "head={type: linear}",
        "x=[1",
    ],
)
def test_one_value_a_list_and_a_path_with_a_comma_are_no_sweep(word):
    assert sweep_values(word, GROUPS) is None


def test_an_interval_is_for_a_search_and_an_m_says_so():
    assert sweep_values("recipe.lr=tag(log,interval(0.001,0.1))", GROUPS) == Interval(0.001, 0.1, True)
    with pytest.raises(UserError, match=r"Add sweep=optuna, or give the values: recipe\.lr=0\.001,0\.1"):
        combinations(["recipe.lr=interval(0.001,0.1)"], GROUPS)


def test_runs_are_the_product_with_the_last_word_changing_fastest():
    assert combinations(["backbone=lenet,vgg11", "recipe.epochs=2", "seed=0,1"], GROUPS) == [
        {"backbone": "lenet", "seed": "0"},
        {"backbone": "lenet", "seed": "1"},
        {"backbone": "vgg11", "seed": "0"},
        {"backbone": "vgg11", "seed": "1"},
    ]


def test_nothing_swept_is_one_run():
    assert combinations(["backbone=lenet"], GROUPS) == [{}]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["backbone=glob(vit*)"], "fits no choice. Known: lenet, resnet18"),
        (["seed=glob(*)"], "'seed' is no group"),
        (["seed=0,1,0"], "gives 0 twice"),
        (["seed=0,1", "seed=2,3"], "'seed' is given twice: seed=0,1 and seed=2,3."),
        (["seed=0,1", "seed=2"], "For a run with each: -m seed=0,1,2"),
        (["seed=range(0,20000)"], "more than 10,000 runs"),
        (["seed=range(0,200)", "recipe.epochs=range(1,200)"], "more than 10,000 runs"),
    ],
)
def test_what_makes_no_sensible_sweep_is_refused(words, message):
    with pytest.raises(UserError) as error:
        combinations(words, GROUPS)
    assert message in str(error.value)
