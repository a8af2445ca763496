"""The verb ``export``: what it refuses, and a file that differs."""

import json
import os
import shutil
import subprocess

import numpy
import pytest
import torch

from visionkit.export.files import torch_export_runner


@pytest.mark.parametrize(
    ("task", "words", "message"),
    [
        ("classify", ["to=tflite"], 'to: found "tflite". Expected one of: onnx, torch_export, safetensors.'),
        ("classify", ["to=onx"], "Did you mean 'onnx'?"),
        ("classify", ["decode=maybe"], 'decode: expected true or false, found "maybe". Try: decode=true'),
        ("classify", ["size=big"], 'size: found "big". Expected height and width in pixels'),
        ("classify", ["size=dynamc"], "Did you mean 'dynamic'? Try: size=480,640"),
        ("classify", ["size=64,64,64"], "Try: size=480,640"),
        ("classify", ["size=0,64"], 'size: found "0,64"'),
        ("classify", ["size=64,64"], "this head flattens a 5x5 map, but images of 64x64 pixels give 13x13. Resize"),
        ("classify", ["size=dynamic"], "the network does not take images of any size"),
        ("classify", ["to=safetensors", "size=64"], "size: to=safetensors writes the weights"),
        ("classify", ["to=safetensors", "decode=false"], "decode: to=safetensors writes the weights"),
        ("classify", ["to=onnx-int8"], 'to: found "onnx-int8". Type: to=onnx int8=true'),
        ("classify", ["int8=maybe"], 'int8: expected true or false, found "maybe". Try: int8=true'),
        (
            "classify",
            ["int8=true", "to=torch_export"],
            "found to=torch_export. Expected to=onnx. Try: to=onnx int8=true",
        ),
        ("classify", ["int8=true", "size=64"], "found size= too. Leave size= away"),
        ("classify", ["int8=true", "decode=false"], "is judged by the task's metric, which needs predictions"),
        ("classify", ["format=onnx"], "The form of the file is to=onnx"),
        ("classify", ["recipe.lr=1"], "export takes a run as it is"),
    ],
)
def test_what_cannot_be_exported_is_told_before_anything_is_written(cli, shared_runs, tmp_path, task, words, message):
    code, _, err = cli("export", f"run={shared_runs.of(task)}", f"out={tmp_path / 'out'}", *words)
    assert (code, message in err) == (2, True), err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("task", ["classify", "instance"])
def test_weights_are_a_model_of_their_own_that_loads(cli, shared_runs, tmp_path, task):
    """Without the run: the folder of the weights is moved away."""
    import visionkit as vk

    run = shared_runs.of(task)
    code, out, err = cli("export", f"run={run}", "to=safetensors", f"out={tmp_path / 'out'}", "format=json")
    assert code == 0, err
    assert json.loads(out)["parity"]["passed"]
    moved = (tmp_path / "out").rename(tmp_path / "shipped")
    names = ["classes.json", "config.yaml", "data.json", "model.safetensors", "parity.json"]
    assert sorted(file.name for file in moved.iterdir()) == names
    image = numpy.random.RandomState(0).randint(0, 256, (50, 60, 3), dtype=numpy.uint8)
    expected, found = (vk.load(path, device="cpu").predict(image) for path in (run, moved / "model.safetensors"))
    assert found.to_dict() == expected.to_dict()


RAW = {"classify": ["logits"], "detect": ["distances", "logits", "quality"], "instance": ["deltas", "logits"]}


@pytest.mark.parametrize(
    "task", ["classify", *(pytest.param(task, marks=pytest.mark.slow) for task in ("detect", "instance"))]
)
def test_raw_outputs_alone_are_compared_and_lie_in_a_folder_of_their_own(cli, shared_runs, tmp_path, task):
    run = tmp_path / "run"
    shutil.copytree(shared_runs.of(task), run, ignore=shutil.ignore_patterns("exports"))
    code, out, err = cli("export", f"run={run}", "to=torch_export", "decode=false", "format=json")
    assert code == 0, err
    parity = json.loads(out)["parity"]
    assert (parity["passed"], sorted(parity["largest_difference"])) == (True, RAW[task])
    (folder,) = (run / "exports").iterdir()
    assert folder.name == "torch_export-raw"
    assert json.loads((folder / "classes.json").read_text())["decode"] is False


@pytest.mark.slow
def test_a_file_of_another_size_takes_that_size(cli, shared_runs, tmp_path):
    words = ("export", f"run={shared_runs.of('segment')}", "to=torch_export", "size=64,96", f"out={tmp_path / 'out'}")
    code, _, err = cli(*words)
    assert code == 0, err
    info = json.loads((tmp_path / "out" / "classes.json").read_text())
    assert (info["resize"]["image_size"], info["dynamic_size"]) == ([64, 96], False)
    images = torch.zeros(3, info["in_channels"], 64, 96, dtype=torch.uint8)
    inputs = {"images": images, "image_sizes": torch.tensor([[64, 96]] * 3)}
    found = torch_export_runner(tmp_path / "out" / "model.pt2")(inputs)
    assert found["mask"].shape == (3, 64, 96)


@pytest.mark.slow
def test_a_file_of_any_size_takes_other_sizes_and_says_which(cli, shared_runs, tmp_path):
    words = ("export", f"run={shared_runs.of('segment')}", "to=torch_export", "size=dynamic", f"out={tmp_path / 'out'}")
    code, out, err = cli(*words, "format=json")
    assert code == 0, err
    parity = json.loads(out)["parity"]
    assert len(parity["sizes"]) == 3
    run_file = torch_export_runner(tmp_path / "out" / "model.pt2")
    side = 2 * parity["size_multiple"] + 64
    channels = json.loads((tmp_path / "out" / "classes.json").read_text())["in_channels"]
    images = torch.zeros(2, channels, side, side + 32, dtype=torch.uint8)
    found = run_file({"images": images, "image_sizes": torch.tensor([[side, side]] * 2)})
    assert found["mask"].shape == (2, side, side + 32)


def test_what_is_of_no_export_is_not_replaced(cli, shared_runs, tmp_path):
    """A file of somebody's own, and another run."""
    run = shared_runs.of("classify")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "classes.json").write_text("mine")
    shutil.copytree(run, tmp_path / "other")
    before = {file.name: file.read_bytes() for file in (tmp_path / "other").iterdir() if file.is_file()}
    for name, to, foreign in (("mine", "onnx", "classes.json"), ("other", "safetensors", "config.yaml")):
        code, _, err = cli("export", f"run={run}", f"to={to}", f"out={tmp_path / name}")
        assert (code, f"has a {foreign} that is of no export, and it would be replaced" in err) == (2, True), err
    assert [file.read_text() for file in (tmp_path / "mine").iterdir()] == ["mine"]
    assert {file.name: file.read_bytes() for file in (tmp_path / "other").iterdir() if file.is_file()} == before
    code, _, err = cli("export", f"run={run}", f"out={tmp_path / 'model.onnx'}")
    assert (code, "which looks like a file. Expected the folder of the files. Try: out=model" in err) == (2, True)


def test_nothing_is_handed_over_that_was_compared_on_no_image(cli, shared_runs, tmp_path, monkeypatch):
    from visionkit.export import export_run

    monkeypatch.setattr(export_run, "read_images", lambda *args: [])
    code, _, err = cli("export", f"run={shared_runs.of('classify')}", f"out={tmp_path / 'out'}")
    assert (code, "no image of the validation split can be read" in err) == (2, True), err
    assert not (tmp_path / "out").exists()


def test_drafts_of_a_killed_export_are_removed_by_the_next_one(cli, shared_runs, tmp_path):
    process = subprocess.Popen(["true"])
    process.wait()
    for name in (f".unchecked-{process.pid}", f".unchecked-{os.getppid()}"):
        (tmp_path / "out" / name).mkdir(parents=True)
    assert cli("export", f"run={shared_runs.of('classify')}", "to=safetensors", f"out={tmp_path / 'out'}")[0] == 0
    assert [file.name for file in (tmp_path / "out").glob(".*")] == [f".unchecked-{os.getppid()}"]


def test_a_misspelt_option_is_recognised(cli, shared_runs):
    code, _, err = cli("export", f"run={shared_runs.of('classify')}", "siez=32")
    assert (code, "Did you mean 'size'?" in err, "train run=" in err) == (2, True, False), err


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


def test_a_cpu_that_8_bits_are_slow_on_is_told_before_anything_is_written(cli, shared_runs, tmp_path, monkeypatch):
    import torch

    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: pip install 'visionkit[onnx]'")
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    code, _, err = cli("export", f"run={shared_runs.of('classify')}", "int8=true", f"out={tmp_path / 'out'}")
    assert (code, "has neither AVX-512 nor VNNI" in err) == (2, True), err
    assert not (tmp_path / "out").exists()


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
