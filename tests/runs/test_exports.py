"""Which exported file is meant, and whether it is of a run."""

import json

import pytest

from tests.helpers.onnx_files import metadata
from visionkit.errors import UserError
from visionkit.models.export_info import ExportInfo
from visionkit.runs.exports import check_export, check_hardware, export_file, find_export, weights_digest
from visionkit.runs.paths import RunPaths

DATA = {"class_names": ["cat", "dog"], "in_channels": 1, "image_size": [4, 4], "mean": [0.5], "std": [0.5]}


@pytest.fixture
def run(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "data.json").write_text(json.dumps(DATA))
    (tmp_path / "run" / "model.safetensors").write_bytes(b"weights")
    return RunPaths(tmp_path / "run")


def info(**changes):
    return ExportInfo.read(json.dumps(metadata(**{"task": "classify", **changes})), file="a.onnx")


def test_the_digest_is_that_of_the_weights_that_are_loaded(run):
    import hashlib

    assert weights_digest(run) == hashlib.sha256(b"weights").hexdigest()
    run.weights_file.unlink()
    assert weights_digest(run) is None
    run.best_checkpoint.parent.mkdir()
    run.best_checkpoint.write_bytes(b"best")
    assert weights_digest(run) == hashlib.sha256(b"best").hexdigest()


def test_a_file_of_the_run_passes(run):
    file = run.path / "model.onnx"
    assert check_export(info(weights=weights_digest(run)), run, task="classify", file=file) is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"class_names": ["cat", "cow"]},
            r'class_names is \["cat", "cow"\] in the file, and \["cat", "dog"\] in the run',
        ),
        ({"task": "multilabel"}, 'task is "multilabel" in the file, and "classify" in the run'),
        ({"resize": {"image_size": [4, 8]}}, r"image_size is \[4, 8\] in the file, and \[4, 4\] in the run"),
        ({"value_range": [0, 1]}, r"value_range is \[0.0, 1.0\] in the file, and nothing \(null\) in the run"),
        ({"weights": "0" * 64}, "has other weights than the run .* now: it was exported before the run was trained"),
        ({"decode": False}, "as it was exported with decode=false, and metrics are of predictions"),
    ],
)
def test_a_file_of_another_run_is_refused(run, changes, message):
    with pytest.raises(UserError, match=f"{message}.*Export it again: python -m visionkit export run=.* to=onnx"):
        check_export(info(**changes), run, task="classify", file=run.path / "model.onnx")


def test_an_engine_is_a_file_of_the_run(run):
    assert export_file(run, "eager") is None
    for engine in ("onnx", "onnx-int8"):
        file = run.path / "exports" / engine / "model.onnx"
        file.parent.mkdir(parents=True)
        file.touch()
        assert export_file(run, engine) == file


@pytest.mark.parametrize(
    ("engine", "message"),
    [
        ("onx", "engine: found \"onx\". Did you mean 'onnx'. Expected one of: eager, onnx, onnx-int8."),
        ("onnx", "there is no '.*model.onnx'. Export it first: python -m visionkit export run=.* to=onnx$"),
        ("onnx-int8", "Export it first: python -m visionkit export run=.* to=onnx int8=true$"),
    ],
)
def test_an_engine_without_a_file_says_how_it_is_made(run, engine, message):
    with pytest.raises(UserError, match=message):
        export_file(run, engine)


@pytest.mark.parametrize(
    ("engine", "reason"),
    [
        ("onnx", "it differs from the run's model, as the parity.json"),
        ("onnx-int8", "it loses too much of the metric, or is no faster, as the parity.json"),
    ],
)
def test_a_rejected_file_is_not_measured_for_the_reason_that_its_kind_can_have(run, engine, reason):
    (run.path / "exports" / engine).mkdir(parents=True)
    (run.path / "exports" / engine / "model.onnx.rejected").touch()
    with pytest.raises(UserError, match=f"model.onnx.rejected' was refused when it was exported: {reason}"):
        export_file(run, engine)


@pytest.mark.parametrize(
    ("key", "text", "fits"),
    [
        ("hardware", "cpu", True), ("hardware", "gpu", False), ("hardware.devices", "2", False),
        ("hardware.num_nodes", "2", False), ("hardware.compile", "true", False), ("hardware.precision", "bf16", False),
        ("hardware.timeout", "400", True), ("hardware.channels_last", "true", True), ("recipe.batch_size", "2", True),
    ],
)  # fmt: skip
def test_hardware_that_an_exported_file_cannot_use_is_refused_and_what_says_nothing_of_it_is_not(key, text, fits):
    check_hardware("eager", [(key, text)])
    if fits:
        return check_hardware("onnx", [(key, text)])
    with pytest.raises(UserError, match=f"{key}={text} says otherwise. Leave it out, or: engine=eager {key}={text}"):
        check_hardware("onnx", [(key, text)])


def test_a_file_is_found_by_its_ending_and_in_the_folder_of_an_export(tmp_path):
    (tmp_path / "onnx").mkdir()
    (tmp_path / "onnx" / "model.onnx").touch()
    assert find_export(str(tmp_path / "onnx")) == tmp_path / "onnx" / "model.onnx"
    assert find_export(tmp_path / "missing.ONNX") == tmp_path / "missing.ONNX"
    assert find_export(tmp_path) is None
    (tmp_path / "onnx" / "config.yaml").touch()  # a run, whatever else is in it
    assert (find_export(tmp_path / "onnx"), find_export("latest"), find_export(3)) == (None, None, None)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "model.onnx.rejected",
            "was refused when it was exported, for the reason in the parity.json beside it",
        ),
        ("model.pt2", r"is a file of torch.export, which is for programs of your own: torch.export.load\("),
    ],
)
def test_what_is_exported_and_no_model_to_load_is_told(tmp_path, name, message):
    (tmp_path / name).touch()
    for run in (tmp_path / name, tmp_path):
        with pytest.raises(UserError, match=message):
            find_export(run)
