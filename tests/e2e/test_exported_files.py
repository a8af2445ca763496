"""An exported file is the run that it was exported from: in predictions, in metrics, and alone in another folder."""

import json
import shutil
import subprocess
import sys

import numpy
import pytest

import visionkit as vk
from tests.helpers.onnx_files import write_onnx

EXPORTED = ("classify", "detect", "segment")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["engine=onnx"], "engine=onnx: there is no '"),
        (["engine=onnx-int8"], "Export it first: python -m visionkit export run="),
        (["engine=tflite"], 'engine: found "tflite". Expected one of: eager, onnx, onnx-int8.'),
        (["engine=onnx", "hardware=gpu"], "engine=onnx is computed by onnxruntime on the CPU, in one process and"),
        (["engine=onnx", "hardware.devices=2"], "hardware.devices=2 says otherwise. Leave it out, or: engine=eager"),
        (["engine=onnx", "hardware.precision=bf16"], "and hardware.precision=bf16 says otherwise."),
    ],
)  # fmt: skip
def test_an_engine_that_cannot_be_is_told(cli, shared_runs, words, message):
    code, _, err = cli("evaluate", f"run={shared_runs.of('classify')}", *words)
    assert (code, message in err) == (2, True), err


def test_a_file_of_another_run_is_not_measured(shared_runs, tmp_path):
    shutil.copytree(shared_runs.of("classify"), tmp_path / "run")
    write_onnx(tmp_path / "run" / "exports" / "onnx" / "model.onnx")
    with pytest.raises(
        vk.UserError, match=r"is not of the run .*: class_names is \[\"cat\", \"dog\"\] in the file, and"
    ):
        vk.evaluate(tmp_path / "run", engine="onnx")


@pytest.mark.slow
@pytest.mark.parametrize("task", EXPORTED)
def test_predictions_are_those_of_the_run_wherever_the_file_lies(shared_runs, tmp_path, task):
    run = shared_runs.exported(task)
    shutil.copy(run / "exports" / "onnx" / "model.onnx", tmp_path / "copied.onnx")
    of_run, of_file = vk.load(run), vk.load(tmp_path / "copied.onnx")
    assert (of_file.class_names, of_file.category_ids) == (of_run.class_names, of_run.category_ids)
    assert (of_file.image_size, of_file.batch_size) == (of_run.image_size, of_run.batch_size)
    assert of_file.reader == of_run.reader
    generator = numpy.random.default_rng(0)
    images = [generator.integers(0, 256, (40 + 9 * i, 90, 3), dtype=numpy.uint8) for i in range(3)]
    pairs = list(zip(of_run.predict(images), of_file.predict(images), strict=True))
    if task != "classify":
        windows = {"window": 48, "overlap": 0.3}
        wide = generator.integers(0, 256, (100, 150), dtype=numpy.uint8)
        pairs.append(
            (vk.load(run, **windows).predict(wide), vk.load(tmp_path / "copied.onnx", **windows).predict(wide))
        )
    for expected, found in pairs:
        assert found.size == expected.size
        if task == "classify":
            assert found.label == expected.label
            numpy.testing.assert_allclose(found.probabilities, expected.probabilities, rtol=0, atol=1e-5)
        elif task == "segment":
            assert (found.mask == expected.mask).mean() >= 0.999
        else:
            assert len(expected.boxes) > 10
            assert found.labels.tolist() == expected.labels.tolist()
            numpy.testing.assert_allclose(found.boxes, expected.boxes, rtol=0, atol=1e-3)  # of sides up to 150 pixels
            numpy.testing.assert_allclose(found.scores, expected.scores, rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("task", EXPORTED)
def test_metrics_are_those_of_the_run_but_for_losses(shared_runs, task):
    run = shared_runs.exported(task)
    expected, found = vk.evaluate(run).scalars, vk.evaluate(run, engine="onnx").scalars
    shared = {name: value for name, value in expected.items() if name in found}
    assert found == pytest.approx(shared, abs=1e-6)
    losses = {"classify": 1, "detect": 4, "segment": 3}
    assert len(expected) - len(found) == losses[task]
    assert "test/loss" in expected.keys() - found.keys()


@pytest.mark.slow
def test_the_command_says_what_was_measured_and_refuses_an_export_that_is_older_than_the_weights(
    cli, shared_runs, tmp_path
):
    run = shared_runs.exported("classify")
    code, out, err = cli("evaluate", f"run={run}", "engine=onnx", "split=val", "format=json")
    assert code == 0, err
    document = json.loads(out)
    assert (document["split"], document["file"]) == ("val", str(run / "exports" / "onnx" / "model.onnx"))
    assert document["metrics"]["val/accuracy"] == vk.evaluate(run, "split=val").scalars["val/accuracy"]
    assert "computed by onnxruntime on the CPU; an exported file has no losses" in err
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run" / "model.safetensors").write_bytes(b"weights of a longer training")
    code, _, err = cli("evaluate", f"run={tmp_path / 'run'}", "engine=onnx")
    assert (code, "it was exported before the run was trained further, or is of another run" in err) == (2, True), err


@pytest.mark.slow
def test_loading_a_file_alone_imports_no_training(shared_runs, tmp_path):
    shutil.copy(shared_runs.exported("classify") / "exports" / "onnx" / "model.onnx", tmp_path / "a.onnx")
    heavy = {"lightning", "hydra", "omegaconf", "torchmetrics", "torchvision", "matplotlib", "onnx"}
    code = (
        "import sys, numpy, visionkit as vk\n"
        "print(vk.load('a.onnx').predict(numpy.zeros((28, 28), dtype=numpy.uint8)).label)\n"
        f"print(sorted({heavy} & {{*sys.modules}}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    label, modules = done.stdout.splitlines()
    assert label in list("0123456789")
    assert modules == "[]"
