"""Searches through the real command line, on small real handwriting."""

import contextlib
import csv
import json
import os
import shutil
import signal

import pytest

import visionkit as vk
from visionkit.training.callbacks.score import ScoreCallback

pytest.importorskip("optuna")

SEARCH = (
    "sweep=optuna", "sweep.trials=3", "backbone=lenet", "head=auto,linear", "hardware=cpu", "debug=fast", "recipe=adam",
    "~dataset.augment.affine",
)  # fmt: skip


def table(folder):
    with (folder / "sweep.csv").open() as file:
        return list(csv.DictReader(file))


def without_times(row):
    return {name: value for name, value in row.items() if name not in ("seconds", "training_seconds")}


def drawn(folder):
    return [(row["recipe.lr"], row["recipe.optimizer.weight_decay"], row["head"]) for row in table(folder)]


@pytest.fixture(scope="module")
def searched(shared_runs):
    """A search of three trials."""
    return shared_runs.train("search", *SEARCH)


def test_each_trial_is_a_run_with_values_of_the_space(searched):
    rows = table(searched)
    assert [row["status"] for row in rows] == ["done"] * 3
    assert all(0.001 <= float(row["recipe.lr"]) <= 0.3 for row in rows)
    assert len({row["recipe.lr"] for row in rows}) == 3
    assert {row["head"] for row in rows} <= {"auto", "linear"}
    assert {path.name for path in searched.iterdir()} >= {"0", "1", "2", "sweep.csv", "sweep.yaml", "sweep.db"}


@pytest.mark.slow
def test_a_search_in_python_is_that_of_the_command(searched, tmp_path):
    words = [word for word in SEARCH if not word.startswith("sweep.trials")]
    found = vk.sweep(*words, **{"sweep.trials": 1}, run_dir=tmp_path / "called", progress=False)
    assert drawn(found.path) == drawn(searched)[:1]
    assert found.best.metrics["val/accuracy"] == float(table(searched)[0]["val/accuracy"])


@pytest.mark.slow
def test_what_is_odd_in_the_data_is_said_once_by_a_search_and_in_its_log(cli, photos, tmp_path):
    root = shutil.copytree(photos, tmp_path / "photos")
    for number in range(5):
        (root / "train" / "cat" / f"{number}.heic").write_bytes(b"")
    words = [word for word in SEARCH if not word.startswith(("sweep.trials", "~dataset"))]
    words += ["sweep.trials=2", "dataset=folder", f"dataset.root={root}", "dataset.image_size=32"]
    code, out, _ = cli(*words, f"run_dir={tmp_path / 'a'}")
    assert code == 0
    note = "note (all 2 runs): 5 file(s) of an ending that is not read left out: 5 .heic"
    assert out.count(note) == 1
    assert (tmp_path / "a" / "log.txt").read_text().count(note) == 1


def test_a_search_that_was_cut_goes_on_as_if_it_had_not_been(cli, searched, tmp_path):
    words = [word for word in SEARCH if not word.startswith("sweep.trials")]
    assert cli(*words, "sweep.trials=1", f"run_dir={tmp_path / 'cut'}")[0] == 0
    assert drawn(tmp_path / "cut") == drawn(searched)[:1]
    assert cli(*words, "sweep.trials=3", f"run_dir={tmp_path / 'cut'}", "resume=true")[0] == 0
    assert drawn(tmp_path / "cut") == drawn(searched)
    accuracies = [[row["test/accuracy"] for row in table(folder)] for folder in (tmp_path / "cut", searched)]
    assert accuracies[0] == accuracies[1]
    assert sum(map(bool, accuracies[0])) == 1


def test_the_best_run_is_repeated_by_its_experiment_to_the_last_digit(cli, searched, tmp_path):
    best = max(table(searched), key=lambda row: (float(row["val/accuracy"]), -int(row["number"])))
    (file,) = (searched / "experiment").iterdir()
    code, _, _ = cli("--config-dir", searched, f"experiment={file.stem}", f"run_dir={tmp_path / 'again'}")
    assert code == 0
    numbers = [
        json.loads((folder / "metrics.json").read_text()) for folder in (searched / best["number"], tmp_path / "again")
    ]
    assert numbers[0]["test/loss"] == numbers[1]["test/loss"]
    configs = [
        (folder / "config.yaml").read_text().splitlines() for folder in (searched / best["number"], tmp_path / "again")
    ]
    differ = [line for line in configs[0] if line not in configs[1]]
    assert {line.partition(":")[0] for line in differ} == {"run_dir", "started"}


class Killed(BaseException):
    """As if the process had died: nothing catches it."""


def kill():
    raise Killed


@pytest.mark.slow
@pytest.mark.parametrize("blow", [kill, lambda: os.kill(os.getpid(), signal.SIGTERM)])
def test_a_search_that_was_cut_in_a_trial_draws_and_scores_as_one_that_was_not(
    cli, shared_runs, in_empty_folder, monkeypatch, blow
):
    """Twelve trials: Optuna's TPE draws from those before it from the eleventh on."""
    words = ("sweep=optuna", "sweep.trials=12", "backbone=lenet", "hardware=cpu", "debug.limit_batches=2",
             "recipe.epochs=2", "sweep.prune_after=1", "sweep.space.recipe.lr={low: 0.001, high: 0.3}")  # fmt: skip
    uncut = shared_runs.train("search_of_twelve", *words)
    real = ScoreCallback.on_train_epoch_start

    def struck(self, trainer, task):
        real(self, trainer, task)
        if trainer.current_epoch == 1 and (in_empty_folder / "cut" / "9").exists():
            blow()

    with monkeypatch.context() as patch, contextlib.suppress(Killed):
        patch.setattr(ScoreCallback, "on_train_epoch_start", struck)
        assert cli(*words, "run_dir=cut")[0] == 143
    assert len((in_empty_folder / "cut" / "9" / "metrics.csv").read_text().splitlines()) == 2
    before = (in_empty_folder / "cut" / "9" / "metrics.csv").read_text()
    assert cli(*words, "run_dir=cut", "resume=true")[0] == 0
    assert (in_empty_folder / "cut" / "9" / "metrics.csv").read_text().startswith(before)
    whole, cut = ([without_times(row) for row in table(folder)] for folder in (uncut, in_empty_folder / "cut"))
    assert len(whole) == 12
    assert cut == whole


def test_a_search_whose_record_is_lost_is_drawn_again_and_makes_no_run_twice(cli, searched, tmp_path):
    folder = shutil.copytree(searched, tmp_path / "lost")
    before = [(folder / str(n) / "metrics.json").stat().st_mtime_ns for n in range(3)]
    (folder / "sweep.db").write_text("no database")
    code, _, err = cli(*SEARCH, f"run_dir={folder}", "resume=true")
    assert code == 2
    assert f"sweep.db: '{folder / 'sweep.db'}' cannot be read" in err
    assert "Delete it" in err
    (folder / "sweep.db").unlink()
    assert cli(*SEARCH, f"run_dir={folder}", "resume=true")[0] == 0
    assert [(folder / str(n) / "metrics.json").stat().st_mtime_ns for n in range(3)] == before
    assert drawn(folder) == drawn(searched)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["sweep.seed=1"], "was made with 0 for 'sweep.seed', and now it is 1. Type sweep.seed=0 to go on"),
        (["sweep.sampler=random"], "Type sweep.sampler=tpe to go on"),
        (["sweep.pruner=none"], "Type sweep.pruner=median to go on"),
        (
            ["sweep.space.recipe.lr={low: 0.1, high: 0.2}"],
            "Type 'sweep.space.recipe.lr={low: 0.001, high: 0.3, log: true}' to go on",
        ),
        (["recipe.epochs=1,2"], "Take it away ('~sweep.space.recipe.epochs', or the word that was typed for it)"),
        (["seed=3"], "'seed=3' is new. Expected: sweep=optuna backbone=lenet debug=fast"),
        (["-m"], None),
    ],
)
def test_another_search_is_not_gone_on_with_and_the_key_is_named(cli, searched, tmp_path, words, message):
    folder = shutil.copytree(searched, tmp_path / "other")
    words = [*(word for word in SEARCH if not word.startswith("head=")), "head=auto,linear", *words]
    code, _, err = cli(*words, f"run_dir={folder}", "resume=true")
    assert code == (0 if message is None else 2), err
    assert (message or "") in err


def test_a_search_and_a_sweep_do_not_go_on_with_one_another(cli, searched, tmp_path):
    folder = shutil.copytree(searched, tmp_path / "search")
    code, _, err = cli("-m", "seed=0,1", f"run_dir={folder}", "resume=true")
    assert code == 2
    assert "'sweep=optuna' is not typed" in err
    assert cli("-m", "hardware=cpu", "debug=fast", "backbone=lenet", f"run_dir={tmp_path / 'sweep'}")[0] == 0
    code, _, err = cli("sweep=optuna", "debug=fast", "backbone=lenet", f"run_dir={tmp_path / 'sweep'}", "resume=true")
    assert code == 2
    assert "'sweep=optuna' is new" in err


@pytest.mark.slow
def test_poor_runs_end_early_and_are_no_failures(cli, in_empty_folder):
    code, _, _ = cli(
        "sweep=optuna", "sweep.trials=9", "sweep.sampler=random", "sweep.prune_after=1", "backbone=lenet",
        "hardware=cpu", "debug.limit_batches=4", "recipe.epochs=3", "run_dir=b",
        "sweep.space={recipe.lr: {low: 0.00001, high: 0.2, log: true}}",
    )  # fmt: skip
    rows = table(in_empty_folder / "b")
    pruned = [row for row in rows if row["status"] == "pruned"]
    assert code == 0
    assert pruned
    assert all(int(row["number"]) >= 5 for row in pruned)
    for row in pruned:
        history = (in_empty_folder / "b" / row["number"] / "metrics.csv").read_text().splitlines()
        assert 1 < len(history) < 4
        assert not (in_empty_folder / "b" / row["number"] / "metrics.json").exists()


def test_a_key_that_is_typed_with_one_value_is_not_searched(cli, in_empty_folder):
    words = ("sweep=optuna", "sweep.trials=1", "recipe.lr=0.02", "hardware=cpu", "debug=fast", "run_dir=b", "-m")
    assert cli(*words)[0] == 0
    assert "recipe.lr" not in table(in_empty_folder / "b")[0]
    assert "lr: 0.02" in (in_empty_folder / "b" / "0" / "config.yaml").read_text()


def test_a_search_of_ones_own_is_a_file_in_the_group(cli, in_empty_folder):
    (in_empty_folder / "mine" / "sweep").mkdir(parents=True)
    (in_empty_folder / "mine" / "sweep" / "kernels.yaml").write_text(
        "type: optuna\ntrials: 2\nsampler: random\nseed: 1\npruner: none\nprune_after: 0\n"
        "space:\n  backbone.stages.c1.conv.kernel_size: {choices: [3, 5]}\n  recipe.epochs: {low: 1, high: 3}\n"
    )
    code, _, _ = cli("--config-dir", "mine", "sweep=kernels", "hardware=cpu", "debug=fast", "run_dir=b")
    assert code == 0
    assert {row["backbone.stages.c1.conv.kernel_size"] for row in table(in_empty_folder / "b")} <= {"3", "5"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["sweep=optunna"], "no sweep is called 'optunna'. Did you mean 'optuna'?"),
        (["sweep=optuna", "sweep.trails=3"], "sweep: unknown key 'trails'. Did you mean 'trials'?"),
        (["sweep=optuna", "sweep.space.recipe.lrr={low: 1, high: 2}"], "'recipe.lrr' can be used: recipe: unknown key"),
        (["sweep=optuna", "recipe.epochs=interval(1,3)"], "'sweep.space.recipe.epochs={low: 1, high: 3}'"),
        (["sweep=optuna", "recipe.lrr=interval(1,3)"], "optimizer, schedule, clip_norm, accumulate, early_stopping, "),
        (
            ["sweep=optuna", "sweep.space.recipe.lr={low: -1.0, high: 0.1}"],
            "sweep.space: 'recipe.lr' may become -1.0, which cannot be used: recipe.lr: expected",
        ),
        (["sweep=optuna", "sweep.space.seed={choices: [1, -1]}"], "'seed' may become -1, which cannot be used"),
        (["sweep=optuna", "sweep.space.seed=3"], "expected {low, high} or {choices}, found 3"),
        (["sweep=optuna", "sweep.space={}"], "nothing to search for"),
        (["sweep=optuna", "backbone=lenett"], "no backbone is called 'lenett'"),
        (["sweep=optuna", "hydra/launcher=joblib"], "a search makes one run after the other"),
        (["sweep=optuna", "resume=true"], "say which, such as run_dir=sweeps/a"),
        (["sweep=optuna", "sweep.trials=2,3"], "stands for several values, and a search is one. Give one value"),
        (["sweep=optuna", "sweep.space.run_dir={choices: [a, b]}"], "'run_dir' is the same for all runs of a search"),
        (["sweep=optuna", "recipe.lr=interval(0.1,0.2)", "recipe.lr=0.1"], "'recipe.lr' is given twice"),
        (["sweep=optuna", "sweep.trials"], "'sweep.trials' is no setting of a search"),
        (["sweep=optuna", "hardware=cpu", "hardware.devices=2"], "each run takes 2 processes, and the pruner sees one"),
        (["sweep=optuna", "hardware=cpu", "hardware.devices=3", "sweep.pruner=none"], "shared equally by 3 processes"),
        (["inspect", "sweep=optuna"], "inspect takes neither -m nor sweep="),
    ],
)  # fmt: skip
def test_a_search_that_is_wrong_stops_before_the_first_trial(cli, in_empty_folder, words, message):
    code, out, err = cli(*words)
    assert code == 2
    assert message in err
    assert out == ""
    assert list(in_empty_folder.iterdir()) == []


def test_without_optuna_the_message_says_what_to_install(cli, in_empty_folder, monkeypatch):
    import visionkit.sweeps.search as module

    monkeypatch.setattr(module, "find_spec", lambda name: None)
    code, _, err = cli("sweep=optuna")
    assert code == 2
    assert 'pip install "optuna>=4"' in err
    assert list(in_empty_folder.iterdir()) == []
