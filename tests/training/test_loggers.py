"""logger=: the real packages, writing to the run's own folder; where one is not installed, its tests are left out."""

import json
import os
import signal
import socket
import struct
import time
from pathlib import Path

import pytest

from tests.helpers.commands import start
from visionkit.config_files import read_group_file
from visionkit.errors import UserError
from visionkit.settings import Logger, Mlflow, NoLogger, SeveralLoggers, TensorBoard

WORDS = ("hardware=cpu", "recipe.batch_size=8", "debug.limit_batches=2")
SETTING, METRIC = "recipe.lr", "val/accuracy"


def _installed(monkeypatch, *names):
    monkeypatch.setattr("visionkit.settings.loggers.find_spec", lambda name: name if name in names else None)


@pytest.fixture
def no_network(monkeypatch):
    """A test that connects to another machine fails."""
    connect = socket.socket.connect

    def guarded(self, address):
        assert self.family == socket.AF_UNIX or address[0] in ("127.0.0.1", "localhost", "::1"), address
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


def test_several_loggers_are_read_by_their_names(monkeypatch):
    _installed(monkeypatch, "tensorboard", "mlflow")
    values = {name: read_group_file("logger", name) for name in ("tensorboard", "mlflow")}
    expected = {"tensorboard": TensorBoard(), "mlflow": Mlflow(experiment="visionkit", uri=None)}
    assert Logger.from_config(values) == SeveralLoggers(loggers=expected)
    assert Logger.from_config("none") == NoLogger()


@pytest.mark.parametrize("name", ["tensorboard", "wandb", "mlflow"])
def test_each_absent_package_has_its_install_line(monkeypatch, name):
    _installed(monkeypatch)
    for values in (read_group_file("logger", name), {name: read_group_file("logger", name)}):
        with pytest.raises(UserError, match=f"logger={name} needs .* Try: pip install {name}, or logger=none"):
            Logger.from_config(values)


@pytest.mark.parametrize("values", [{}, {"tensorboard": 3}, {"project": "a"}])
def test_a_mapping_that_names_no_logger_says_how_several_are_named(values):
    with pytest.raises(UserError, match=r"Try: logger=tensorboard, or logger=\[tensorboard,mlflow\]"):
        Logger.from_config(values)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("logger=[tensorboard,tensorboard]", "logger: 'tensorboard' is named twice"),
        ("logger=[tensorboard,tb]", "no logger is called 'tb'. Did you mean 'tensorboard'?"),
        ("logger.wandb.mode=away", "logger"),
    ],
)
def test_a_mistake_in_the_list_is_named_before_anything_is_written(in_empty_folder, cli, word, message):
    code, _, err = cli(*WORDS, word, "run_dir=run")
    assert (code, message in err) == (2, True), err
    assert not (in_empty_folder / "run").exists()


def _train(cli, logger):
    """Two epochs, and a third one after the run has ended."""
    assert cli(*WORDS, f"logger={logger}", "recipe.epochs=2", "run_dir=run")[0] == 0
    assert cli("train", "run=run", "resume=true", "recipe.epochs=3")[0] == 0
    return json.loads(Path("run/metrics.json").read_text())


def _ids():
    return json.loads(Path("run/loggers.json").read_text())


def test_tensorboard_has_settings_metrics_and_pictures_and_a_resumed_run_goes_on(in_empty_folder, cli, no_network):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    final = _train(cli, "tensorboard")
    log = EventAccumulator("run/tensorboard", size_guidance={"images": 0, "scalars": 0})
    log.Reload()
    tags = log.Tags()
    assert {"plots/curves", "plots/confusion_matrix", "plots/predictions"} <= set(tags["images"])
    scalars = {name: [event.step for event in log.Scalars(name)] for name in (METRIC, "lr", "images_per_second")}
    assert scalars == {name: [1, 3, 5] for name in scalars}
    assert log.Scalars("final/test/accuracy")[-1].value == pytest.approx(final["test/accuracy"])
    assert b"recipe.lr: 0.05" in log.Tensors("settings/text_summary")[0].tensor_proto.string_val[0]


def test_mlflow_has_one_run_with_settings_metrics_and_pictures(in_empty_folder, cli, no_network):
    pytest.importorskip("mlflow", reason="mlflow is not installed")
    final = _train(cli, "[mlflow]")
    from mlflow.tracking import MlflowClient

    os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
    client = MlflowClient((in_empty_folder / "run" / "mlflow").as_uri())
    experiment = client.get_experiment_by_name("visionkit")
    (run,) = client.search_runs([experiment.experiment_id])
    assert (run.info.status, run.info.run_id) == ("FINISHED", _ids()["mlflow"])
    assert run.data.params[SETTING] == "0.05"
    assert [metric.step for metric in client.get_metric_history(run.info.run_id, METRIC)] == [1, 3, 5]
    assert run.data.metrics["final/test/accuracy"] == pytest.approx(final["test/accuracy"])
    pictures = {file.path for file in client.list_artifacts(run.info.run_id, "plots")}
    assert {"plots/curves.png", "plots/predictions.png"} <= pictures


def test_wandb_writes_offline_under_one_id(in_empty_folder, cli, no_network):
    pytest.importorskip("wandb", reason="wandb is not installed")
    final = _train(cli, "wandb")
    folders = sorted((in_empty_folder / "run" / "wandb").glob("offline-run-*"))
    name = _ids()["wandb"]
    assert len(folders) == 2
    assert all(folder.name.endswith(name) for folder in folders)
    settings, history, summary = _read_wandb(*folders)
    assert settings[SETTING] == 0.05
    assert len([row for row in history if METRIC in row]) == 3
    assert summary["final/test/accuracy"] == pytest.approx(final["test/accuracy"])
    pictures = {file.name.split("_")[0] for file in folders[1].glob("files/media/images/plots/*.png")}
    assert {"curves", "confusion", "predictions"} <= pictures


def _read_wandb(*folders):
    """Config, rows of the history and summary of what was written."""
    from wandb.proto.wandb_internal_pb2 import Record

    settings, history, summary = {}, [], {}
    for folder in folders:
        for data in _records(next(folder.glob("*.wandb")).read_bytes()):
            record = Record.FromString(data)
            for item in record.run.config.update:
                settings[item.key or ".".join(item.nested_key)] = json.loads(item.value_json)
            for item in record.config.update:
                settings[item.key or ".".join(item.nested_key)] = json.loads(item.value_json)
            if record.HasField("history"):
                history.append({i.key or ".".join(i.nested_key): i.value_json for i in record.history.item})
            for item in record.summary.update:
                summary[item.key or ".".join(item.nested_key)] = json.loads(item.value_json)
    return settings, history, summary


def _records(content):
    """The records of a log of LevelDB's format, after a header of 7 bytes: whole, or in parts over blocks."""
    position, parts = 7, []
    while position + 7 <= len(content):
        left = 2**15 - position % 2**15
        if left < 7:  # what is left of a block
            position += left
            continue
        length, kind = struct.unpack("<HB", content[position + 4 : position + 7])
        parts.append(content[position + 7 : position + 7 + length])
        position += 7 + length
        if kind in (1, 4):  # the whole record, or its last part
            yield b"".join(parts)
            parts = []


@pytest.mark.slow
def test_an_interrupted_run_is_no_finished_one_and_goes_on(in_empty_folder, cli):
    pytest.importorskip("mlflow", reason="mlflow is not installed")
    process = start(in_empty_folder, *WORDS, "recipe.epochs=500", "logger=mlflow", "run_dir=run")
    while not (in_empty_folder / "run" / "metrics.csv").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert process.returncode == 143
    from mlflow.tracking import MlflowClient

    os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
    client = MlflowClient((in_empty_folder / "run" / "mlflow").as_uri())
    name = _ids()["mlflow"]
    assert client.get_run(name).info.status == "KILLED"
    epochs = len((in_empty_folder / "run" / "metrics.csv").read_text().splitlines())
    assert cli("train", "run=run", "resume=true", f"recipe.epochs={epochs}")[0] == 0
    assert client.get_run(name).info.status == "FINISHED"
    assert len(client.get_metric_history(name, METRIC)) == epochs


@pytest.mark.slow
def test_of_two_processes_one_logs(in_empty_folder, cli):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    code, _, err = cli(*WORDS, "logger=tensorboard", "recipe.epochs=1", "hardware.devices=2", "run_dir=run")
    assert code == 0, err
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = EventAccumulator("run/tensorboard")
    log.Reload()
    assert len(log.Scalars(METRIC)) == 1
