"""Searches through the real command line, on small real handwriting."""

import csv
import json
import shutil

import pytest

pytest.importorskip("optuna")

SEARCH = (
    "sweep=optuna", "sweep.trials=3", "backbone=lenet", "head=auto,linear", "hardware=cpu", "debug=fast", "recipe=adam",
    "~dataset.augment.affine",
)  # fmt: skip


def table(folder):
    with (folder / "sweep.csv").open() as file:
        return list(csv.DictReader(file))


def drawn(folder):
    return [(row["recipe.lr"], row["recipe.optimizer.weight_decay"], row["head"]) for row in table(folder)]


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A search of three trials."""
    from visionkit.cli.main import main

    folder = tmp_path_factory.mktemp("search") / "b"
    assert main([*SEARCH, f"run_dir={folder}"]) == 0
    return folder


def test_each_trial_is_a_run_with_values_of_the_space(searched):
    rows = table(searched)
    assert [row["status"] for row in rows] == ["done"] * 3
    assert all(0.001 <= float(row["recipe.lr"]) <= 0.3 for row in rows)
    assert len({row["recipe.lr"] for row in rows}) == 3
    assert {row["head"] for row in rows} <= {"auto", "linear"}
    assert {path.name for path in searched.iterdir()} >= {"0", "1", "2", "sweep.csv", "sweep.yaml", "sweep.db"}


def test_a_search_that_was_cut_goes_on_as_if_it_had_not_been(cli, searched, tmp_path):
    words = [word for word in SEARCH if not word.startswith("sweep.trials")]
    assert cli(*words, "sweep.trials=1", f"run_dir={tmp_path / 'cut'}")[0] == 0
    assert drawn(tmp_path / "cut") == drawn(searched)[:1]
    assert cli(*words, "sweep.trials=3", f"run_dir={tmp_path / 'cut'}", "resume=true")[0] == 0
    assert drawn(tmp_path / "cut") == drawn(searched)
    accuracies = [[row["test/accuracy"] for row in table(folder)] for folder in (tmp_path / "cut", searched)]
    assert accuracies[0] == accuracies[1]


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
    assert all(line.startswith("run_dir:") for line in differ)


def test_a_trial_under_way_when_its_process_died_has_failed(cli, searched, tmp_path):
    import optuna

    folder = shutil.copytree(searched, tmp_path / "killed")
    optuna.load_study(study_name="sweep", storage=f"sqlite:///{folder / 'sweep.db'}").ask()
    code, out, _ = cli(*SEARCH, "sweep.trials=5", f"run_dir={folder}", "resume=true")
    assert code == 2
    assert [row["status"] for row in table(folder)] == ["done", "done", "done", "failed", "done"]
    assert "run 3 failed: its process was killed" in out


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
        (["sweep=optuna", "sweep.space.seed=3"], "expected {low, high} or {choices}, found 3"),
        (["sweep=optuna", "sweep.space={}"], "nothing to search for"),
        (["sweep=optuna", "backbone=lenett"], "no backbone is called 'lenett'"),
        (["sweep=optuna", "hydra/launcher=joblib"], "a search makes one run after the other"),
        (["sweep=optuna", "resume=true"], "say which, such as run_dir=sweeps/a"),
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
    import visionkit.commands.search as module

    monkeypatch.setattr(module, "find_spec", lambda name: None)
    code, _, err = cli("sweep=optuna")
    assert code == 2
    assert 'pip install "optuna>=4"' in err
    assert list(in_empty_folder.iterdir()) == []
