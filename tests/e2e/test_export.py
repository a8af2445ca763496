"""The verb ``export``: what it refuses, and a file that differs."""

import json

import pytest


@pytest.mark.parametrize(
    ("task", "words", "message"),
    [
        ("classify", ["to=tflite"], 'to: found "tflite". Expected one of: onnx, torch_export.'),
        ("classify", ["to=onx"], "Did you mean 'onnx'?"),
        ("classify", ["decode=maybe"], 'decode: expected true or false, found "maybe". Try: decode=true'),
        ("classify", ["format=onnx"], "The form of the file is to=onnx"),
        ("classify", ["recipe.lr=1"], "export takes a run as it is"),
    ],
)
def test_what_cannot_be_exported_is_told_before_anything_is_written(cli, shared_runs, tmp_path, task, words, message):
    code, _, err = cli("export", f"run={shared_runs.of(task)}", f"out={tmp_path / 'out'}", *words)
    assert (code, message in err) == (2, True), err
    assert not (tmp_path / "out").exists()


def test_export_without_a_run_says_which_is_meant(cli, in_empty_folder):
    code, _, err = cli("export", "to=onnx")
    assert (code, "export needs a run: run=FOLDER, or run=latest for the newest one." in err) == (2, True)


def test_without_onnx_the_line_that_installs_it_is_told(cli, shared_runs, tmp_path, monkeypatch):
    import importlib.util

    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if "onnx" in name else found(name, *rest))
    code, _, err = cli("export", f"run={shared_runs.of('classify')}", f"out={tmp_path / 'out'}")
    assert (code, 'Try: pip install "visionkit[onnx]"' in err) == (2, True), err
    assert not (tmp_path / "out" / "model.onnx").exists()


def test_a_file_that_differs_is_rejected_and_an_earlier_one_is_gone(cli, shared_runs, tmp_path, monkeypatch):
    from visionkit.export import export_run

    words = ("export", f"run={shared_runs.of('classify')}", "to=torch_export", f"out={tmp_path / 'out'}", "format=json")
    code, out, _ = cli(*words)
    assert code == 0
    assert json.loads(out)["parity"]["passed"]
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["classes.json", "model.pt2", "parity.json"]

    class Wrong(export_run.ExportGraph):
        def forward(self, images, image_sizes=None):
            return super().forward(images.flip(-1), image_sizes)

    monkeypatch.setattr(export_run, "ExportGraph", Wrong)
    code, out, _ = cli(*words)
    assert code == 1
    assert json.loads(out)["parity"]["num_problems"] > 10
    assert json.loads((tmp_path / "out" / "parity.json").read_text())["passed"] is False
    files = sorted(file.name for file in (tmp_path / "out").iterdir())
    assert files == ["classes.json", "model.pt2.rejected", "parity.json"]
