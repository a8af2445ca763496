"""Sweeps that are wrong in whole or in part: a message before the first run."""

import csv
import shutil
import subprocess
import sys

import pytest
import torch


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["recipe.lrr=0.1,0.2"], "recipe: unknown key 'lrr'. Did you mean 'lr'?"),
        (["recpie.lr=0.1,0.2"], "unknown key 'recpie.lr'. Did you mean 'recipe.lr'? Type recipe.lr=0.1,0.2"),
        (["backbone=lenet,lenett"], "no backbone is called 'lenett'. Did you mean 'lenet'?"),
        (["head=glob(x*)"], "fits no choice. Known: auto"),
        (["seed=0,1", "hydra/launcher=jobib"], "no launcher is called 'jobib'. Did you mean 'joblib'? Known: basic"),
        (["seed=0,1", "hydra.launcher.n_jobs=2"], "unless hydra/launcher=joblib is typed"),
        (["seed=0,1", "hydra/launcher=joblib", "hydra.launcher.n_jobs=0"], "expected a whole number of 1 or more"),
        (["seed=0,1", "hydra.sweep.subdir=x"], "does nothing here"),
        (["seed=0,1", "resume=true"], "say which, such as run_dir=sweeps/a"),
        (["seed=0,1", "resume=true", "run_dir=nowhere"], "holds no sweep to go on with"),
        (["seed=0,1", "resume=maybe"], "resume: expected true or false"),
        (["seed=0,1", "run_dir=full"], "is not empty; it holds 'file'"),
        (["seed=0,1", "format=yaml"], "format: expected text or json"),
        (["seed=0,1", "hardware=cpu", "hardware.num_nodes=2", "hardware.rendezvous=127.0.0.1:29500"], "on one machine"),
        (["seed=0,1", "weights=nowhere.pth"], "weights: file 'nowhere.pth' does not exist"),
        (["seed=0,1", "run_dir=a,b"], "a sweep lies in one folder, with one in it for each run. Try: run_dir=a"),
        (["backbone=lenet,"], "'backbone=lenet,' has a comma without a value beside it"),
        (
            ["recipe.lr=choice(0.1]"],
            "'recipe.lr=choice(0.1]': the bracket ( is not closed",
        ),
        (["seed=range(1,b)"], "interval(0.1,1) or tag(log,interval(0.001,0.1)), each in quotes: 'seed=range(1,5)'"),
        (["backbone="], "'backbone=': no value stands behind the =. Type backbone=VALUE"),
        (["seed=0,1", "sweep"], "'sweep' is neither a verb nor key=value"),
        (["seed=0,1", "~sweep"], "'~sweep': there is no sweep unless one is typed"),
        (["recipe.batch_size=62,63", "hardware=cpu", "hardware.devices=4"], "no run of this sweep can be made. Run 0:"),
        (
            ["seed=0,1", "recipe.batch_size=63", "hardware=cpu", "hardware.devices=2"],
            "recipe.batch_size: 63 images cannot be shared equally by 2 processes. The nearest that can: 62 and 64.",
        ),
    ],
)
def test_a_sweep_that_is_wrong_stops_before_the_first_run(cli, in_empty_folder, words, message):
    (in_empty_folder / "full").mkdir()
    (in_empty_folder / "full" / "file").touch()
    code, out, err = cli("-m", *words)
    assert code == 2
    assert message in err
    assert out == ""
    assert sorted(path.name for path in in_empty_folder.rglob("*")) == ["file", "full"]


FAST = ("-m", "hardware=cpu", "debug=fast", "backbone=lenet", "run_dir=a")


@pytest.mark.parametrize(
    ("words", "message", "failed"),
    [
        (
            ["backbone.stages.c1.conv.kernel_size=3,98,99"],
            "  run 1 (backbone.stages.c1.conv.kernel_size=98): ",
            {"1": "its 98x98 kernel does not fit", "2": "its 99x99 kernel does not fit"},
        ),
        (["seed=x,0"], "  run 0 (seed=x): seed: expected", {"0": "seed: expected"}),
        (
            ["dataset=folder", "dataset.root=photos", "dataset.image_size=32", "dataset.fold=0,7"],
            "  run 1 (dataset.fold=7): dataset.fold: found 7, but there are 5 folds. Expected 0 to 4.",
            {"1": "dataset.fold: found 7"},
        ),
    ],
)
def test_runs_that_cannot_be_made_are_told_before_the_first_run_and_the_others_are_trained(
    cli, in_empty_folder, photos, words, message, failed
):
    shutil.copytree(photos / "train", in_empty_folder / "photos")
    code, out, _ = cli(*FAST, *words)
    count = len(failed) + 1
    told = (
        f"{len(failed)} of the {count} runs of this sweep cannot be made and {'is' if count == 2 else 'are'} left out:"
    )
    assert code == 2
    assert -1 < out.find(told) < out.find(message) < out.find(f" of {count})  ")
    assert out.count(f" of {count})  ") == 1  # one heading, of the one that is trained
    assert told in (in_empty_folder / "a" / "log.txt").read_text()
    with (in_empty_folder / "a" / "sweep.csv").open() as file:
        rows = {row["number"]: row for row in csv.DictReader(file)}
    assert [rows[number]["status"] for number in sorted({*rows} - {*failed})] == ["done"]
    assert [rows[number]["status"] for number in failed] == ["failed"] * len(failed)
    assert all(reason in rows[number]["reason"] for number, reason in failed.items())


def test_of_many_runs_that_cannot_be_made_three_problems_are_told(cli, in_empty_folder):
    code, out, _ = cli(
        *FAST, "backbone.stages.c1.conv.kernel_size=3,95,96,97,98,99", "seed=0,-1", "hydra/launcher=joblib"
    )
    assert code == 2
    assert "11 of the 12 runs of this sweep cannot be made and are left out:" in out
    assert len([line for line in out.splitlines() if line.startswith("  run ")]) == 3
    assert "  and 3 other problems; all stand in a/sweep.csv" in out


@pytest.mark.parametrize("words", [["-m", "seed=0,1"], ["sweep=optuna"]])
def test_a_sweep_in_one_of_several_processes_is_refused(cli, in_empty_folder, monkeypatch, words):
    world = {"TORCHELASTIC_RUN_ID": "x", "RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2"}
    for name, value in world.items():
        monkeypatch.setenv(name, value)
    code, _, err = cli(*words)
    assert code == 2
    assert "a sweep starts from one" in err
    assert not list(in_empty_folder.iterdir())


@pytest.mark.parametrize("verb", ["evaluate", "predict", "inspect", "list"])
def test_only_training_is_swept(cli, verb):
    code, out, err = cli(verb, "-m")
    assert (code, out) == (2, "")
    assert f"{verb} takes neither -m nor sweep=... . Leave these out, and give each key one value." in err


@pytest.mark.parametrize(
    ("devices", "message"),
    [("2", "found 2, but hydra/launcher=joblib gives each run a GPU of its own. Try: hardware.devices=1"),
     ("4", "4 GPUs were asked for, but there are 3 here. Try: hardware.devices=3")],
)  # fmt: skip
def test_gpus_are_counted_before_the_first_run(cli, in_empty_folder, monkeypatch, devices, message):
    """A machine with three GPUs, as torch would tell of them."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    launcher = ["hydra/launcher=joblib"] if devices == "2" else []
    code, out, err = cli("-m", "seed=0,1", "hardware=gpu", f"hardware.devices={devices}", *launcher)
    assert (code, out) == (2, "")
    assert message in err
    assert not list(in_empty_folder.iterdir())


def test_side_by_side_all_gpus_are_one_for_each_run(monkeypatch):
    """63 images would not divide among two GPUs."""
    from visionkit.cli.sweep import RunComposer
    from visionkit.errors import UserError
    from visionkit.sweeps.grid import check_devices
    from visionkit.sweeps.job import Job

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    job = Job(0, {}, RunComposer(["hardware=multi_gpu", "recipe.batch_size=63"], []).config({}))
    assert check_devices([job], parallel=True) == [job]
    with pytest.raises(UserError, match="cannot be shared equally by 2 processes"):
        check_devices([job])


def test_a_wrong_sweep_is_told_without_torch(in_empty_folder):
    script = (
        "import sys\nfrom visionkit.cli.main import main\n"
        "codes = [main(['-m', 'seed=0,1', 'recipe.lrr=1']), main(['sweep=optuna', 'recipe.lrr=1'])]\n"
        "print('RESULT', codes, [m for m in ('torch', 'lightning', 'optuna') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "RESULT [2, 2] []" in result.stdout
