"""Draws and what is kept of them."""

import math
from dataclasses import replace

import pytest

from visionkit.errors import UserError
from visionkit.sweeps.space import SearchSettings, check_same
from visionkit.tasks.info import TASKS

pytest.importorskip("optuna")

from visionkit.sweeps.study import Study

SPACE = {"recipe.lr": {"low": 0.001, "high": 0.1, "log": True}, "recipe.epochs": {"low": 1, "high": 99},
         "backbone": {"choices": ["lenet", "vgg11"]}}  # fmt: skip
PLAIN = {"type": "optuna", "trials": 3, "sampler": "tpe", "seed": 0, "pruner": "median", "prune_after": 1}


def settings(**changes):
    return SearchSettings.from_config({**PLAIN, "space": SPACE, **changes})


def study(folder, info=TASKS["classify"], **changes):
    return Study(folder / "sweep.db", settings(**changes), info)


def score(trial):
    """A made-up score that the draws decide."""
    return float(trial.overrides["recipe.lr"]) * 5 + int(trial.overrides["recipe.epochs"]) / 200


def make(folder, trials, *, commands):
    """Draw so many trials by so many commands, each of which is killed in a trial of its own; all that was drawn."""
    drawn = []
    for command in range(commands):
        made = study(folder)
        while made.count < trials * (command + 1) // commands:
            trial = made.ask()
            made.tell(trial, "done", score(trial))
            drawn.append(dict(trial.overrides))
        made.ask()
    return drawn


def test_a_search_of_one_command_draws_the_same_as_one_that_was_killed_often(tmp_path):
    """Twenty trials: TPE draws from those before from the eleventh on."""
    for name in ("one", "many"):
        (tmp_path / name).mkdir()
    one, many = make(tmp_path / "one", 20, commands=1), make(tmp_path / "many", 20, commands=7)
    assert one == many
    assert len({draw["recipe.lr"] for draw in one}) == 20
    assert list(one[0]) == list(SPACE)


def test_the_order_in_which_keys_were_given_does_not_matter(tmp_path):
    (tmp_path / "other").mkdir()
    other = study(tmp_path / "other", space=dict(reversed(SPACE.items())))
    assert study(tmp_path).ask().overrides == other.ask().overrides


def test_what_has_ended_is_recalled_by_its_status(tmp_path):
    made = study(tmp_path)
    told = []
    for status, value in (("done", 0.5), ("failed", math.nan), ("pruned", 0.1), ("done", math.nan)):
        trial = made.ask()
        made.tell(trial, status, value)
        told.append((trial.number, trial.overrides))
    statuses = ["done", "failed", "pruned", "failed"]
    assert list(study(tmp_path).finished_trials()) == [(*told[n], statuses[n]) for n in range(4)]


def test_a_poor_run_ends_where_less_is_better_too_and_an_epoch_counts_once(tmp_path):
    made = study(tmp_path, info=replace(TASKS["classify"], monitor="val/loss", mode="min"))
    for _ in range(5):
        trial = made.ask()
        assert not trial.on_score(1, 0.5)
        made.tell(trial, "done", 0.5)
    trial = made.ask()
    assert not trial.on_score(1, math.nan)
    assert trial.on_score(1, 0.6)
    assert trial.on_score(1, 0.1)  # an epoch that is trained once more
    assert not trial.on_score(2, 0.4)


def test_what_was_searched_is_compared_and_how_many_trials_is_not():
    assert settings(trials=9).plain == settings().plain
    check_same(settings().plain, settings(trials=9).plain, where="b")


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        (None, "'b' holds a sweep and no search. Leave sweep=... out, and type -m."),
        (settings(seed=4).plain, "made with 4 for 'sweep.seed', and now it is 0. Type sweep.seed=4 to go on"),
        (settings(prune_after=2).plain, "Type sweep.prune_after=2 to go on"),
        (settings(space={**SPACE, "seed": {"choices": [1, 2]}}).plain, "Type 'sweep.space.seed={choices: [1, 2]}'"),
        (
            settings(space={**SPACE, "x": {"choices": ["1e-3", "a b", True, None, "net.yaml"]}}).plain,
            'Type \'sweep.space.x={choices: ["1e-3", "a b", true, null, net.yaml]}\'',
        ),
        (settings(space={"backbone": SPACE["backbone"]}).plain, "Take it away ('~sweep.space.recipe.lr'"),
        ({**settings().plain, "metric": "val/map (max)"}, "Choose the task that it had"),
    ],
)
def test_another_search_is_told_from_this_one(stored, message):
    with pytest.raises(UserError) as error:
        check_same(stored, settings().plain, where="b")
    assert message in str(error.value)
