"""Sweeps through the real command line: many small runs on real handwriting in one process."""

import csv
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
import warnings

import pytest
import torch

FAST = ("hardware=cpu", "debug=fast", "backbone=lenet")
KERNELS = ("-m", *FAST, "backbone.stages.c1.conv.kernel_size=3,99", "seed=0,1")


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
def swept(tmp_path_factory):
    """Four runs, of which two cannot be: exit code and folder."""
    from visionkit.cli.main import main

    folder = tmp_path_factory.mktemp("sweep") / "a"
    return main([*KERNELS, f"run_dir={folder}"]), folder


@pytest.fixture
def again(swept, tmp_path):
    """A copy of that sweep, to go on with."""
    return shutil.copytree(swept[1], tmp_path / "a")


def test_runs_that_cannot_be_do_not_stop_the_others_and_the_exit_code_tells(swept):
    code, folder = swept
    rows = table(folder)
    assert code == 2
    assert [rows[number]["status"] for number in range(4)] == ["done", "done", "failed", "failed"]
    assert "its 99x99 kernel does not fit" in rows[2]["reason"]
    assert sorted(path.name for path in folder.iterdir()) == ["0", "1", "sweep.csv", "sweep.yaml"]


def test_a_row_holds_overrides_metrics_parameters_and_time(swept):
    _, folder = swept
    row = table(folder)[1]
    numbers = metrics(folder / "1")
    assert (row["backbone.stages.c1.conv.kernel_size"], row["seed"]) == ("3", "1")
    assert float(row["val/accuracy"]) == pytest.approx(numbers["val/accuracy"], rel=1e-7)
    assert float(row["test/loss"]) == pytest.approx(numbers["test/loss"], rel=1e-7)
    assert int(row["parameters"]) == sum(value.numel() for value in weights(folder / "1").values())
    assert 0 < float(row["seconds"]) < 60


def test_each_run_has_a_whole_folder_of_its_own(swept):
    _, folder = swept
    for number in (0, 1):
        names = {path.name for path in (folder / str(number)).iterdir()}
        assert names >= {"config.yaml", "metrics.json", "metrics.csv", "checkpoints", "log.txt", "plots"}
        assert "Go on with" in (folder / str(number) / "log.txt").read_text()
        assert f"seed: {number}" in (folder / str(number) / "config.yaml").read_text()


def test_a_run_in_a_sweep_equals_the_same_run_by_itself_bit_for_bit(cli, swept, tmp_path):
    _, folder = swept
    assert cli(*FAST, "backbone.stages.c1.conv.kernel_size=3", "seed=1", f"run_dir={tmp_path / 'alone'}")[0] == 0
    assert metrics(tmp_path / "alone") == metrics(folder / "1")
    alone, inside = weights(tmp_path / "alone"), weights(folder / "1")
    assert alone
    assert all(torch.equal(alone[name], inside[name]) for name in alone)


def test_the_table_groups_seeds_and_the_best_run_is_named(cli, in_empty_folder):
    code, out, _ = cli("-m", *FAST, "head=auto,linear", "seed=0,1", "run_dir=a")
    assert code == 0
    assert "by val/accuracy, mean and 95 % interval over seeds" in out
    assert "run 2  (3 of 4)  head=linear seed=0" in out
    lines = [line for line in out.splitlines() if "±" in line]
    means = [float(line.split("│")[2].split("±")[0]) for line in lines]
    assert means == sorted(means, reverse=True)
    assert len(means) == 2
    rows = table(in_empty_folder / "a")
    best = max(rows, key=lambda number: float(rows[number]["val/accuracy"]))
    assert f"python -m visionkit evaluate run=a/{best}" in out


def test_json_is_all_there_is_on_standard_output(cli, in_empty_folder):
    code, out, _ = cli("-m", *FAST, "seed=0,1", "run_dir=a", "format=json")
    document = json.loads(out)
    assert code == 0
    assert [row["status"] for row in document["runs"]] == ["done", "done"]
    assert document["groups"][0]["runs"] == [0, 1]
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
    code, out, _ = cli(*KERNELS, f"run_dir={again}", "resume=true")
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
    cli(*KERNELS, f"run_dir={again}", "resume=true")
    assert table(again)[1]["status"] == "done"
    assert metrics(again / "1") == pytest.approx(metrics(swept[1] / "1"), rel=1e-6)  # metrics.csv keeps 8 digits


def test_the_seconds_of_a_run_that_goes_on_are_those_of_all_its_parts(cli, again):
    """300 s are told of the first part; the second ends a run of a second."""
    (again / "1" / "metrics.json").unlink()
    text = (again / "sweep.csv").read_text().splitlines()
    for number, status in ((1, "done"), (2, "done")):
        text[number] = ",".join(["300.0" if n == len(text[0].split(",")) - 2 else cell for n, cell in
                                 enumerate(text[number].replace(status, "interrupted").split(","))])  # fmt: skip
    (again / "sweep.csv").write_text("\n".join(text) + "\n")
    cli(*KERNELS, f"run_dir={again}", "resume=true")
    assert 300 < float(table(again)[1]["seconds"]) < 360
    assert float(table(again)[0]["seconds"]) == 300


def test_a_table_that_was_changed_by_hand_is_explained_before_anything_is_done(cli, again):
    (again / "sweep.csv").write_bytes(b"number,status\n0,done\n")
    code, out, err = cli(*KERNELS, f"run_dir={again}", "resume=true")
    assert (code, out) == (2, "")
    assert "sweep.csv' cannot be read: there is no column 'seconds' (line 2)" in err


def test_ctrl_c_at_the_moment_when_a_run_has_ended_loses_no_row(cli, in_empty_folder, monkeypatch):
    from visionkit.commands import sweep_job

    real = sweep_job.read_metrics

    def struck(folder):
        os.kill(os.getpid(), signal.SIGINT)
        return real(folder)

    with monkeypatch.context() as patch:
        patch.setattr(sweep_job, "read_metrics", struck)
        assert cli("-m", *FAST, "seed=0,1", "run_dir=a")[0] == 130
    rows = table(in_empty_folder / "a")
    assert {number: row["status"] for number, row in rows.items()} == {0: "done"}
    assert float(rows[0]["test/accuracy"]) >= 0
    assert cli("-m", *FAST, "seed=0,1", "run_dir=a", "resume=true")[0] == 0
    assert [row["status"] for row in table(in_empty_folder / "a").values()] == ["done", "done"]


def test_another_sweep_is_not_gone_on_with_and_the_difference_is_named(cli, again):
    code, _, err = cli("-m", *FAST, "seed=0,1,2", f"run_dir={again}", "resume=true")
    assert code == 2
    assert "holds another sweep" in err
    assert "'seed=0,1,2' is new" in err
    assert "'seed=0,1' is not typed" in err


def test_a_run_made_from_another_configuration_is_not_taken_for_done(cli, again):
    config = again / "0" / "config.yaml"
    config.write_text(config.read_text().replace("lr: 0.05", "lr: 0.06"))
    code, _, err = cli(*KERNELS, f"run_dir={again}", "resume=true")
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
    code, _, err = cli(*KERNELS, f"run_dir={again}", "resume=true")
    assert code == 2
    assert "was made with another 'recipe'" in err
    assert not (again / "0" / "metrics.json").exists()


def test_a_folder_with_a_sweep_is_not_written_over(cli, swept):
    code, _, err = cli(*KERNELS, f"run_dir={swept[1]}")
    assert code == 2
    assert "already holds a sweep" in err
    assert "resume=true" in err


def test_a_run_can_be_repeated_with_other_seeds(cli, swept, in_empty_folder):
    _, folder = swept
    assert cli("-m", f"run={folder / '0'}", "seed=1,2", "run_dir=b")[0] == 0
    assert metrics(in_empty_folder / "b" / "0") == metrics(folder / "1")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["recipe.lrr=0.1,0.2"], "recipe: unknown key 'lrr'. Did you mean 'lr'?"),
        (["recpie.lr=0.1,0.2"], "there is no 'recpie'. Did you mean 'recipe'?"),
        (["backbone=lenet,lenett"], "no backbone is called 'lenett'. Did you mean 'lenet'?"),
        (["head=glob(x*)"], "fits no choice. Known: auto"),
        (["seed=0,1", "hydra/launcher=jobib"], "no launcher is called 'jobib'. Did you mean 'joblib'? Known: basic"),
        (["seed=0,1", "hydra.launcher.n_jobs=2"], "unless hydra/launcher=joblib is typed"),
        (["seed=0,1", "hydra/launcher=joblib", "hydra.launcher.n_jobs=0"], "expected a whole number of 1 or more"),
        (["seed=0,1", "hydra.sweep.dir=x"], "does nothing here"),
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
            ["recipe.lr=choice(0.1"],
            "cannot be read: no viable alternative at input 'choice(0.1'. Several values are a,b",
        ),
        (["seed=range(1,b)"], "interval(0.1,1) or tag(log,interval(0.001,0.1)), each in quotes: 'seed=range(1,5)'"),
        (["backbone="], "no backbone is called ''"),
        (["seed=0,1", "sweep"], "'sweep' is neither a verb nor key=value"),
        (["seed=0,1", "~sweep"], "'~sweep': there is nothing to take away"),
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


def test_a_comma_that_belongs_to_a_folders_name_is_quoted(cli, in_empty_folder):
    assert cli("-m", *FAST, "seed=0", "run_dir='a,b'")[0] == 0
    assert table(in_empty_folder / "a,b")[0]["status"] == "done"
    assert cli("-m", *FAST, "seed=0", "run_dir=a,b", "resume=true")[0] == 0


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
    from visionkit.cli.sweep import Runs
    from visionkit.commands.sweep import check_devices
    from visionkit.commands.sweep_job import Job
    from visionkit.errors import UserError

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    job = Job(0, {}, Runs(["hardware=multi_gpu", "recipe.batch_size=63"], []).config({}))
    assert check_devices([job], side_by_side=True) == [job]
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


def test_a_fault_in_one_run_is_traced_in_its_log_and_the_others_go_on(cli, in_empty_folder, monkeypatch):
    import visionkit.commands.prepared as module

    real = module.build_model
    monkeypatch.setattr(module, "build_model", lambda config, data: 1 / 0 if config.seed == 0 else real(config, data))
    code, out, _ = cli("-m", *FAST, "seed=0,1", "run_dir=a")
    rows = table(in_empty_folder / "a")
    assert code == 2
    assert rows[0]["reason"] == "ZeroDivisionError: division by zero"
    assert "Traceback" in (in_empty_folder / "a" / "0" / "log.txt").read_text()
    assert "Traceback" not in out
    assert rows[1]["status"] == "done"


def test_a_run_that_diverges_is_a_failed_row_with_its_reason(cli, in_empty_folder):
    words = ("recipe.lr=0.01,1e30", "recipe.schedule.type=constant", "recipe.schedule.warmup_epochs=0")
    code, _, _ = cli("-m", *FAST, *words, "run_dir=a", "debug=none", "recipe.epochs=1")
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
def test_twenty_more_runs_take_no_more_memory_than_five(tmp_path):
    """A LeNet run keeps some 10 MiB alive while it lasts; what each of twenty leaked would show as 200 MiB."""
    script = (
        "import os, sys\nfrom visionkit.cli.main import main\n"
        "def resident():\n"
        "    return int(open('/proc/self/statm').read().split()[1]) * os.sysconf('SC_PAGE_SIZE') / 2**20\n"
        f"fast = {FAST!r}\n"
        "main(['-m', *fast, 'seed=range(0,5)', 'run_dir=a'])\n"
        "before = resident()\n"
        "main(['-m', *fast, 'seed=range(5,25)', 'run_dir=b'])\n"
        "print('GREW', resident() - before)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert float(done.stdout.rpartition("GREW")[2]) < 40


def strike(words, folder, *, number, when):
    """Start a command, signal it when files are there, and wait for its end: exit code, output and process id."""
    command = [sys.executable, "-m", "visionkit", *words]
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    try:
        deadline = time.monotonic() + 120
        while not all((folder / file).exists() for file in when) and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(number)
        output, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    return process.returncode, output, process.pid


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_keeps_what_is_done_and_the_sweep_goes_on_within_the_run(cli, in_empty_folder, number):
    words = ["-m", "hardware=cpu", "backbone=lenet", "recipe.epochs=1,30", "run_dir=a"]
    history = in_empty_folder / "a" / "1" / "metrics.csv"
    code, output, _ = strike(words, in_empty_folder, number=number, when=[history])
    rows = table(in_empty_folder / "a")
    assert code == 130, output
    assert "Traceback" not in output
    assert [rows[0]["status"], rows[1]["status"]] == ["done", "interrupted"]
    assert "run_dir=a resume=true" in output
    trained = history.read_text()
    assert cli(*words, "resume=true")[0] == 0
    assert history.read_text().startswith(trained)
    assert len(history.read_text().splitlines()) == 31
    assert table(in_empty_folder / "a")[1]["status"] == "done"


@pytest.mark.slow
def test_runs_side_by_side_equal_runs_one_by_one(cli, in_empty_folder):
    words = ("-m", *FAST, "seed=0,1,2", "backbone.stages.c1.conv.kernel_size=3,99")
    code, out, _ = cli(*words, "run_dir=b", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    threads = torch.get_num_threads()
    torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // 2))
    try:
        assert cli(*words, "run_dir=a")[0] == code == 2
    finally:
        torch.set_num_threads(threads)
    one, other = table(in_empty_folder / "a"), table(in_empty_folder / "b")
    assert [one[n]["status"] for n in range(6)] == [other[n]["status"] for n in range(6)] == ["done", "failed"] * 3
    for number in (0, 2, 4):
        assert metrics(in_empty_folder / "a" / str(number)) == metrics(in_empty_folder / "b" / str(number))
    assert "epoch" not in out.split("by val/accuracy")[0]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_reaches_runs_side_by_side_and_no_process_stays(tmp_path, number):
    words = ["-m", "hardware=cpu", "recipe.epochs=400", "seed=0,1,2", "run_dir=a", "hydra/launcher=joblib",
             "hydra.launcher.n_jobs=2"]  # fmt: skip
    code, output, pid = strike(words, tmp_path, number=number, when=[f"a/{n}/metrics.csv" for n in "01"])
    assert code == 130, output
    rows = table(tmp_path / "a")
    assert {number: row["status"] for number, row in rows.items()} == {0: "interrupted", 1: "interrupted"}
    assert all((tmp_path / "a" / n / "checkpoints" / "last.ckpt").is_file() for n in "01")
    left = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout
    assert not [line for line in left.splitlines() if "loky" in line and str(pid) in line]


@pytest.mark.slow
def test_ctrl_c_while_the_row_of_a_run_side_by_side_is_written_loses_none(cli, in_empty_folder, monkeypatch):
    from visionkit.commands.sweep_folder import SweepFolder

    real = SweepFolder.put

    def struck(self, row):
        os.kill(os.getpid(), signal.SIGINT)
        real(self, row)

    monkeypatch.setattr(SweepFolder, "put", struck)
    words = ("seed=0,1,2", "run_dir=a", "hydra/launcher=joblib", "hydra.launcher.n_jobs=1")
    assert cli("-m", *FAST, *words)[0] == 130
    assert {number: row["status"] for number, row in table(in_empty_folder / "a").items()} == {0: "done"}


@pytest.mark.slow
def test_each_run_of_a_sweep_may_take_several_processes(tmp_path):
    words = ["-m", "backbone=lenet", "seed=0,1", "hardware=cpu", "hardware.devices=2", "debug=fast"]
    command = [sys.executable, "-m", "visionkit", *words, f"run_dir={tmp_path / 'a'}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("batch    64 = 2 processes x 32") == 2
    assert [row["status"] for row in table(tmp_path / "a").values()] == ["done", "done"]
    assert metrics(tmp_path / "a" / "0")["test/accuracy"] >= 0
