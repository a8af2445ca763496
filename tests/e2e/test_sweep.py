"""Sweeps through the real command line: many small runs on real handwriting in one process."""

import csv
import json
import logging
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import warnings

import pytest
import torch

from tests.helpers import commands

FAST = ("hardware=cpu", "debug=fast", "backbone=lenet")
CONSTANT = ("recipe.schedule.type=constant", "recipe.schedule.warmup_epochs=0")
RATES = ("-m", *FAST, *CONSTANT, "recipe.lr=0.05,1e30", "seed=0,1")


def table(folder):
    with (folder / "sweep.csv").open() as file:
        return {int(row["number"]): row for row in csv.DictReader(file)}


def metrics(run):
    numbers = json.loads((run / "metrics.json").read_text())
    return {name: value for name, value in numbers.items() if name != "training_seconds"}


def weights(run):
    from safetensors.torch import load_file

    return load_file(run / "model.safetensors")


@pytest.fixture(scope="module")
def swept(shared_runs):
    """A sweep of four runs, of which two diverge: that is what its exit code says."""
    return shared_runs.train("sweep", *RATES, code=2)


@pytest.fixture
def again(swept, tmp_path):
    """A copy of that sweep, to go on with."""
    return shutil.copytree(swept, tmp_path / "a")


def test_runs_that_fail_do_not_stop_the_others_and_the_exit_code_tells(swept):
    rows = table(swept)
    assert [rows[number]["status"] for number in range(4)] == ["done", "done", "failed", "failed"]
    assert "training diverged" in rows[2]["reason"]
    names = ["0", "1", "2", "3", "curves.png", "log.txt", "sweep.csv", "sweep.yaml"]
    assert sorted(path.name for path in swept.iterdir()) == names


def test_a_row_holds_overrides_metrics_parameters_and_time(swept):
    row = table(swept)[1]  # its group is the only one that is done, and so the best
    numbers = metrics(swept / "1")
    assert (row["recipe.lr"], row["seed"]) == ("0.05", "1")
    assert float(row["val/accuracy"]) == pytest.approx(numbers["val/accuracy"], rel=1e-7)
    assert float(row["test/loss"]) == pytest.approx(numbers["test/loss"], rel=1e-7)
    assert int(row["parameters"]) == sum(value.numel() for value in weights(swept / "1").values())
    assert 0 < float(row["seconds"]) < 60


def test_each_run_has_a_whole_folder_of_its_own(swept):
    for number in (0, 1):
        names = {path.name for path in (swept / str(number)).iterdir()}
        assert names >= {"config.yaml", "metrics.json", "metrics.csv", "checkpoints", "log.txt", "plots"}
        assert "Go on with" in (swept / str(number) / "log.txt").read_text()
        assert f"seed: {number}" in (swept / str(number) / "config.yaml").read_text()


def test_a_run_in_a_sweep_equals_the_same_run_by_itself_bit_for_bit(cli, swept, tmp_path):
    assert cli(*FAST, *CONSTANT, "recipe.lr=0.05", "seed=1", f"run_dir={tmp_path / 'alone'}")[0] == 0
    assert metrics(tmp_path / "alone") == metrics(swept / "1")
    alone, inside = weights(tmp_path / "alone"), weights(swept / "1")
    assert alone
    assert all(torch.equal(alone[name], inside[name]) for name in alone)


def test_the_table_groups_seeds_and_the_best_run_is_named(cli, in_empty_folder):
    code, out, _ = cli("-m", *FAST, "head=auto,linear", "seed=0,1", "run_dir=a")
    assert code == 0
    assert "by val/accuracy, mean ± half the 95 % interval of the mean (Student's t) over 2 seeds" in out
    assert "run 2  (3 of 4)  head=linear seed=0" in out
    lines = [line.split() for line in out.splitlines() if re.match(r" *(0 1|2 3) ", line)]
    means = [float(line[3]) for line in lines]
    assert len(means) == 2
    assert means == sorted(means, reverse=True)
    rows = table(in_empty_folder / "a")
    best = max(map(int, lines[0][:2]), key=lambda number: (float(rows[number]["val/accuracy"]), -number))
    assert f"python -m visionkit evaluate run=a/{best}" in out
    assert {number for number in rows if rows[number]["test/accuracy"]} == {*map(int, lines[0][:2])}


def test_what_its_runs_say_is_said_once_with_the_runs_that_said_it(cli, in_empty_folder):
    code, out, _ = cli("-m", *FAST, "recipe.batch_size=2,4", "seed=0,1", "run_dir=a")
    assert code == 0
    cut = "2 batches of 2 from each split, 1 epoch whatever recipe.epochs says"
    assert out.count(f"note (2 of 4 runs: 0 1): {cut}") == 1
    assert out.count("note (2 of 4 runs: 2 3): 2 batches of 4 from each split") == 1
    assert f"note (2 of 4 runs: 0 1): {cut}" in (in_empty_folder / "a" / "log.txt").read_text()
    code, out, _ = cli("-m", *FAST, "recipe.batch_size=2,4", "seed=0,1", "run_dir=a", "resume=true", "format=json")
    notes = json.loads(out)["notes"]
    assert [entry["runs"] for entry in notes if entry["note"].startswith("2 batches")] == [[0, 1], [2, 3]]


@pytest.mark.slow
def test_parallel_runs_say_the_same_as_those_one_after_the_other(cli, in_empty_folder):
    words = ("-m", *FAST, "seed=0,1", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    code, out, _ = cli(*words, "run_dir=a")
    assert code == 0
    assert out.count("note (all 2 runs): 2 batches of 4 from each split, 1 epoch") == 1


@pytest.mark.parametrize("strict", [False, True])
def test_what_is_odd_in_the_data_is_a_note_of_the_sweep_or_with_strict_an_error_of_each_run(
    cli, in_empty_folder, photos, strict
):
    root = shutil.copytree(photos, in_empty_folder / "photos")
    (root / "train" / "cat" / "0.png").write_bytes(b"")
    words = (*FAST, "dataset=folder", f"dataset.root={root}", "dataset.image_size=32")
    code, out, _ = cli("-m", *words, f"strict={str(strict).lower()}", "seed=0,1", "run_dir=a")
    rows = table(in_empty_folder / "a")
    if strict:
        assert (code, [rows[number]["status"] for number in (0, 1)]) == (2, ["failed", "failed"])
        assert "0.png" in rows[0]["reason"]
    else:
        assert (code, [rows[number]["status"] for number in (0, 1)]) == (0, ["done", "done"])
        note = "1 unreadable image(s) of train dropped: "
        for text in (out, (in_empty_folder / "a" / "log.txt").read_text()):
            lines = [line for line in text.splitlines() if "0.png" in line]
            assert len(lines) == 1
            assert lines[0].startswith(f"note (all 2 runs): {note}")
        assert all(note in (in_empty_folder / "a" / run / "log.txt").read_text() for run in "01")


@pytest.mark.slow
def test_folds_end_in_their_mean_and_its_interval_and_each_image_is_validated_in_one(cli, in_empty_folder, photos):
    root = in_empty_folder / "photos"
    for name, other in (("cat", "dog"), ("dog", "cat")):  # half of each class are the other's, which nothing can learn
        shutil.copytree(photos / "train" / name, root / name)
        for number in range(6):
            shutil.copy(photos / "train" / other / f"{number}.png", root / name / f"{number}.png")
    words = (*FAST, "dataset=folder", f"dataset.root={root}", "dataset.image_size=32", "dataset.test_fraction=0")
    code, out, _ = cli("-m", *words, "dataset.folds=3", "dataset.fold=0,1,2", "run_dir=a")
    assert code == 0
    assert "mean ± half the 95 % interval of the mean (Student's t) over 3 folds" in out
    scores = [metrics(in_empty_folder / "a" / str(fold))["val/accuracy"] for fold in range(3)]
    half = 4.302653 * statistics.stdev(scores) / 3**0.5  # the quantile of t with two degrees of freedom
    assert half > 0
    assert f"{statistics.mean(scores):.4f} ± {half:.4f}" in out
    saved = [json.loads((in_empty_folder / "a" / str(fold) / "splits.json").read_text()) for fold in range(3)]
    validated = [name for fold in saved for name in fold["val"]]
    assert len(validated) == len(set(validated)) == 24


def test_json_is_all_there_is_on_standard_output(cli, in_empty_folder):
    code, out, _ = cli("-m", *FAST, "seed=0,1", "run_dir=a", "format=json")
    document = json.loads(out)
    assert code == 0
    assert [row["status"] for row in document["runs"]] == ["done", "done"]
    assert document["groups"][0]["runs"] == [0, 1]
    assert "test/accuracy" in document["groups"][0]["metrics"]
    values = [row["metrics"]["val/accuracy"] for row in document["runs"]]
    assert document["groups"][0]["metrics"]["val/accuracy"]["mean"] == pytest.approx(sum(values) / 2)


def test_the_default_folder_lies_apart_so_that_run_latest_is_still_a_run(cli, in_empty_folder):
    assert cli(*FAST)[0] == 0
    (single,) = (in_empty_folder / "runs").glob("*/*")
    assert cli("-m", *FAST, "seed=1")[0] == 0
    (folder,) = (in_empty_folder / "runs" / "sweeps").iterdir()
    assert table(folder)[0]["status"] == "done"
    code, out, _ = cli("evaluate", "run=latest", "format=json")
    assert (code, json.loads(out)["run"].split("/")[-1]) == (0, single.name)


def test_resume_makes_what_failed_again_and_leaves_what_is_done(cli, again):
    shutil.rmtree(again / "1")
    before = (again / "0" / "metrics.json").stat().st_mtime_ns
    code, out, _ = cli(*RATES, f"run_dir={again}", "resume=true")
    assert code == 2
    assert "1 of 4 runs are done already" in out
    assert (again / "0" / "metrics.json").stat().st_mtime_ns == before
    assert [row["status"] for row in table(again).values()] == ["done", "done", "failed", "failed"]


@pytest.mark.parametrize("damage", [lambda file: None, lambda file: file.write_bytes(file.read_bytes()[:999])])
def test_a_run_whose_process_was_killed_goes_on_or_starts_anew_where_its_checkpoint_is_broken(
    cli, swept, again, damage
):
    (again / "1" / "metrics.json").unlink()
    rows = (again / "sweep.csv").read_text().splitlines()
    (again / "sweep.csv").write_text("\n".join(row for row in rows if not row.startswith("1,")) + "\n")
    damage(again / "1" / "checkpoints" / "last.ckpt")
    cli(*RATES, f"run_dir={again}", "resume=true")
    assert table(again)[1]["status"] == "done"
    assert metrics(again / "1") == pytest.approx(metrics(swept / "1"), rel=1e-6)  # metrics.csv keeps 8 digits


def test_the_seconds_of_a_run_that_goes_on_are_those_of_all_its_parts(cli, again):
    """300 s are told of the first part; the second ends a run of a second."""
    (again / "1" / "metrics.json").unlink()
    text = (again / "sweep.csv").read_text().splitlines()
    for number, status in ((1, "done"), (2, "done")):
        text[number] = ",".join(["300.0" if n == len(text[0].split(",")) - 2 else cell for n, cell in
                                 enumerate(text[number].replace(status, "interrupted").split(","))])  # fmt: skip
    (again / "sweep.csv").write_text("\n".join(text) + "\n")
    cli(*RATES, f"run_dir={again}", "resume=true")
    assert 300 < float(table(again)[1]["seconds"]) < 360
    assert float(table(again)[0]["seconds"]) == 300


def test_a_table_that_was_changed_by_hand_is_explained_before_anything_is_done(cli, again):
    (again / "sweep.csv").write_bytes(b"number,status\n0,done\n")
    code, out, err = cli(*RATES, f"run_dir={again}", "resume=true")
    assert (code, out) == (2, "")
    assert "sweep.csv' cannot be read: there is no column 'seconds' (line 2)" in err


def test_another_sweep_is_not_gone_on_with_and_the_difference_is_named(cli, again):
    code, _, err = cli("-m", *FAST, "seed=0,1,2", f"run_dir={again}", "resume=true")
    assert code == 2
    assert "holds another sweep" in err
    assert "'seed=0,1,2' is new" in err
    assert "'seed=0,1' is not typed" in err


def test_a_run_made_from_another_configuration_is_not_taken_for_done(cli, again):
    config = again / "0" / "config.yaml"
    config.write_text(config.read_text().replace("lr: 0.05", "lr: 0.06"))
    code, _, err = cli(*RATES, f"run_dir={again}", "resume=true")
    assert code == 2
    assert "was made with another 'recipe'" in err


def test_an_interrupted_run_does_not_go_on_with_another_configuration(cli, again):
    (again / "0" / "metrics.json").unlink()
    config = again / "0" / "config.yaml"
    config.write_text(config.read_text().replace("lr: 0.05", "lr: 0.06"))
    rows = table(again)
    rows[0]["status"] = "interrupted"
    with (again / "sweep.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows.values())
    code, _, err = cli(*RATES, f"run_dir={again}", "resume=true")
    assert code == 2
    assert "was made with another 'recipe'" in err
    assert not (again / "0" / "metrics.json").exists()


def test_a_folder_with_a_sweep_is_not_written_over(cli, swept):
    code, _, err = cli(*RATES, f"run_dir={swept}")
    assert code == 2
    assert "already holds a sweep" in err
    assert "resume=true" in err


def test_evaluate_of_a_sweeps_folder_names_a_run_of_it(cli, swept):
    code, _, err = cli("evaluate", f"run={swept}")
    assert code == 2
    assert f"it holds a sweep, with a run in each of its folders, such as run={swept}/0" in err


def test_a_run_can_be_repeated_with_other_seeds(cli, swept, in_empty_folder):
    assert cli("-m", f"run={swept / '0'}", "seed=1,2", "run_dir=b")[0] == 0
    assert metrics(in_empty_folder / "b" / "0") == metrics(swept / "1")


def test_a_comma_that_belongs_to_a_folders_name_is_quoted(cli, in_empty_folder):
    assert cli("-m", *FAST, "seed=0", "run_dir='a,b'")[0] == 0
    assert table(in_empty_folder / "a,b")[0]["status"] == "done"
    assert cli("-m", *FAST, "seed=0", "run_dir=a,b", "resume=true")[0] == 0


def test_a_fault_in_one_run_is_traced_in_its_log_and_the_others_go_on(cli, in_empty_folder, monkeypatch):
    import visionkit.runs.checkpoint as module

    real, built = module.build_run_model, []

    def fail_once(*arguments):
        built.append(arguments)
        return 1 / 0 if len(built) == 1 else real(*arguments)

    monkeypatch.setattr(module, "build_run_model", fail_once)
    code, out, _ = cli("-m", *FAST, "seed=0,1", "run_dir=a")
    rows = table(in_empty_folder / "a")
    assert code == 2
    assert rows[0]["reason"] == "ZeroDivisionError: division by zero"
    assert "Traceback" in (in_empty_folder / "a" / "0" / "log.txt").read_text()
    assert "Traceback" not in out
    assert rows[1]["status"] == "done"


def test_a_run_that_diverges_is_a_failed_row_with_its_reason(cli, in_empty_folder):
    words = ("recipe.lr=0.01,1e30", "recipe.schedule.type=constant", "recipe.schedule.warmup_epochs=0")
    code, _, _ = cli("-m", *commands.changed(FAST, "debug=none"), *words, "run_dir=a", "recipe.epochs=1")
    rows = table(in_empty_folder / "a")
    assert code == 2
    assert [rows[0]["status"], rows[1]["status"]] == ["done", "failed"]
    assert "training diverged" in rows[1]["reason"]
    assert "training diverged" in (in_empty_folder / "a" / "1" / "log.txt").read_text()


def test_nothing_of_a_run_stays_behind_in_the_process(cli, in_empty_folder):
    def state():
        loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric", "")]
        handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
        return [
            *handlers, list(warnings.filters), torch.is_grad_enabled(), torch.get_default_dtype(),
            torch.get_num_threads(), [(logger.level, list(logger.handlers)) for logger in loggers], os.getcwd(),
        ]  # fmt: skip

    cli("-m", *FAST, "seed=0", "run_dir=warm")
    before = state()
    assert cli("-m", *FAST, "seed=0,1", "run_dir=a")[0] == 0
    assert state() == before


@pytest.mark.slow
def test_ten_more_runs_take_no_more_memory_than_three(tmp_path):
    """A LeNet run keeps some 10 MiB alive while it lasts; what each of ten leaked would show as 100 MiB."""
    script = (
        "import os, sys\nfrom visionkit.cli.main import main\n"
        "def resident():\n"
        "    return int(open('/proc/self/statm').read().split()[1]) * os.sysconf('SC_PAGE_SIZE') / 2**20\n"
        f"fast = {FAST!r}\n"
        "main(['-m', *fast, 'seed=range(0,3)', 'run_dir=a'])\n"
        "before = resident()\n"
        "main(['-m', *fast, 'seed=range(3,13)', 'run_dir=b'])\n"
        "print('GREW', resident() - before)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert float(done.stdout.rpartition("GREW")[2]) < 40
