"""The verb ``benchmark`` through the command line."""

import json
import shutil

import pytest


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "benchmark: found neither run= nor backbone=. Expected trained runs: run=FOLDER"),
        (["run=RUN", "backbone=lenet"], "benchmark: found run= and backbone=, and they exclude each other"),
        (["run=RUN,RUN"], "is named twice. Expected different runs: run=A,B"),
        (["backbone=lenet,lenet"], "backbone: 'lenet' is named twice"),
        (["run=nothere"], "run: 'nothere' is no run folder"),
        (["run=RUN", "engines=tensorrt"], "engines: found 'tensorrt'. Expected some of: eager, compile, onnx"),
        (["run=RUN", "recipe.lr=1"], "benchmark takes a run as it is, and 'recipe.lr' would change it"),
        (["run=RUN", "num_classes=3"], "num_classes: a run has its own classes"),
        (["run=RUN", "out=a.jpg"], "out: found 'a.jpg', expected a PNG file. Try: out=a.png"),
        (["run=RUN", "hardware.compile=true"], "Type engines=eager,compile"),
        (["run=RUN", "image_size=many"], "image_size: expected a number of pixels"),
    ],
)
def test_wrong_words_are_told_before_anything_is_measured(cli, shared_runs, in_empty_folder, words, message):
    run = str(shared_runs.of("classify"))
    code, out, err = cli("benchmark", *(word.replace("RUN", run) for word in words))
    assert (code, out, message in err) == (2, "", True), err


def test_runs_of_two_tasks_are_refused(cli, shared_runs):
    code, _, err = cli("benchmark", f"run={shared_runs.of('classify')},{shared_runs.of('segment')}")
    assert (code, "Scores of different tasks do not compare" in err) == (2, True), err


def test_a_run_whose_weights_are_gone_is_told(cli, shared_runs, tmp_path):
    run = shutil.copytree(shared_runs.of("classify"), tmp_path / "run")
    (run / "model.safetensors").unlink()
    shutil.rmtree(run / "checkpoints")
    code, _, err = cli("benchmark", f"run={run}", "engines=eager", "memory=false")
    assert (code, "has neither model.safetensors nor checkpoints/best.ckpt" in err) == (2, True), err


QUICK = ("engines=eager", "batch=1", "seconds=0.01", "memory=false", "threads=1", "format=json")


@pytest.fixture
def run_of_photos(shared_runs, photos, tmp_path):
    """A run whose data set is a folder, in a folder of its own; the data set has a copy without a test split."""
    words = ("hardware=cpu", "dataset=folder", f"dataset.root={photos}", "dataset.image_size=32", "debug=fast")
    run = shutil.copytree(shared_runs.train("benchmark-photos", "backbone=lenet", *words), tmp_path / "run")
    shutil.copytree(photos, tmp_path / "photos", ignore=shutil.ignore_patterns("test"))
    return run


def test_a_split_that_the_data_do_not_have_is_told_with_those_that_they_have(cli, run_of_photos, tmp_path):
    words = (f"run={run_of_photos}", f"dataset.root={tmp_path / 'photos'}", "split=test", *QUICK)
    code, out, err = cli("benchmark", *words)
    assert (code, out) == (2, ""), err
    assert "split: the data set of lenet has no test split. Expected one of: train, val. Try: split=val" in err


def test_a_run_is_measured_and_not_scored_at_another_size_than_that_of_its_training(cli, shared_runs):
    code, out, err = cli("benchmark", f"run={shared_runs.of('segment')}", "image_size=[96,128]", *QUICK)
    assert code == 0, err
    document = json.loads(out)
    (row,) = document["rows"]
    assert (row["error"], row["image_size"], row["score"], row["images"]) == (None, [96, 128], None, "val")
    assert row["p50_ms"] > 0
    assert any("no score, as image_size= is not that of the run's evaluation" in note for note in document["notes"])


def test_a_run_whose_network_takes_no_other_size_is_told_so(cli, shared_runs):
    code, _, err = cli("benchmark", f"run={shared_runs.of('classify')}", "image_size=64", *QUICK)
    assert (code, "benchmark: nothing runs. eager: it does not run on images of 64 x 64: " in err) == (2, True), err


def test_a_run_whose_data_are_gone_is_measured_on_noise(cli, run_of_photos, tmp_path):
    import yaml

    run, quick = run_of_photos, QUICK
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["dataset"]["root"] = str(tmp_path / "gone")
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    code, out, err = cli("benchmark", f"run={run}", *quick)
    document = json.loads(out)
    assert (code, document["rows"][0]["score"]) == (0, None), err
    assert any("measured on noise and without a score, as its data cannot be read" in n for n in document["notes"])


@pytest.mark.slow
def test_a_run_is_measured_by_torch_and_by_its_exported_file(cli, shared_runs, tmp_path):
    run = shutil.copytree(shared_runs.of("classify"), tmp_path / "run")
    words = ("engines=eager,onnx,onnx-int8", "batch=1,2", "seconds=0.05", "threads=1", f"out={tmp_path / 'a.png'}")
    code, out, err = cli("benchmark", f"run={run}", *words, "format=json")
    assert code == 0, err
    assert "no exported file yet, writing one" in err
    document = json.loads(out)
    rows = document["rows"]
    assert [(row["engine"], row["batch"]) for row in rows] == [
        (engine, batch) for engine in ("eager", "onnx", "onnx-int8") for batch in (1, 2)
    ]
    for row in rows[:4]:
        assert 0 < row["p50_ms"] <= row["p90_ms"] <= row["p99_ms"]
        assert (row["error"], row["score"], row["images"]) == (None, rows[0]["score"], "val")
        assert 1e6 < row["memory_bytes"] < 1e9
    assert "to=onnx int8=true" in rows[4]["error"]
    history = (run / "metrics.csv").read_text().splitlines()
    accuracies = [float(line.split(",")[history[0].split(",").index("val/accuracy")]) for line in history[1:]]
    assert rows[0]["score"] == pytest.approx(max(accuracies), abs=1e-6)
    assert json.loads((tmp_path / "a.json").read_text()) == document
    assert (tmp_path / "a.png").exists()

    quick = ("batch=1", "seconds=0.01", "memory=false", "accuracy=false", "format=json")
    file = run / "exports" / "onnx" / "model.onnx"
    good = file.read_bytes()
    _scale_weights(file)
    document = json.loads(cli("benchmark", f"run={run}", *quick)[1])
    assert "differs from the model (" in document["rows"][1]["error"]
    file.write_bytes(good)

    other = json.loads((run / "data.json").read_text())["class_names"]
    _replace_metadata(file, class_names=["x", *other[1:]])
    document = json.loads(cli("benchmark", f"run={run}", *quick)[1])
    assert "is not of the run" in document["rows"][1]["error"]
    assert "class_names is" in document["rows"][1]["error"]

    file.write_bytes(good)
    file_of_8_bits = run / "exports" / "onnx-int8" / "model.onnx"  # whose score is its own, whatever is in it
    file_of_8_bits.parent.mkdir()
    file_of_8_bits.write_bytes(good)
    quick = ("engines=eager,onnx,onnx-int8", "batch=1", "seconds=0.01", "memory=false", "format=json")
    document = json.loads(cli("benchmark", f"run={run}", *quick)[1])
    assert [(row["engine"], row["error"], row["score"]) for row in document["rows"]] == [
        (engine, None, rows[0]["score"]) for engine in ("eager", "onnx", "onnx-int8")
    ]
    _replace_metadata(file_of_8_bits, weights="0" * 64)
    document = json.loads(cli("benchmark", f"run={run}", *quick)[1])
    assert "has other weights than the run" in document["rows"][2]["error"]
    assert [row["score"] for row in document["rows"]] == [rows[0]["score"], rows[0]["score"], None]


def _replace_metadata(path, **changes):
    import onnx

    model = onnx.load(path)
    (entry,) = [entry for entry in model.metadata_props if entry.key == "visionkit"]
    entry.value = json.dumps({**json.loads(entry.value), **changes})
    onnx.save(model, path)


def _scale_weights(path):
    """As if the run had been trained further since the export."""
    import numpy as np
    import onnx
    from onnx import numpy_helper

    model = onnx.load(path)
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype == np.float32 and values.ndim == 2:
            tensor.CopyFrom(numpy_helper.from_array(1.01 * values, tensor.name))
    onnx.save(model, path)
