"""The verb ``export`` with int8=true: from a run to a file of 8 bits, or to none."""

import json
from types import SimpleNamespace

import pytest

onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: pip install 'visionkit[onnx]'")
onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install 'visionkit[onnx]'")

from visionkit.export import int8, quantization  # noqa: E402
from visionkit.export.export_run import ExportResult  # noqa: E402
from visionkit.export.parity import Parity  # noqa: E402
from visionkit.models.onnx_model import OnnxModel  # noqa: E402

INFO = {"decode": True, "value_range": [0, 1], "in_channels": 1}  # of images that the script does not read
RUN = SimpleNamespace(task=SimpleNamespace(monitor="val/accuracy"))
DATA = SimpleNamespace(dataset=lambda split: [])


def test_a_float_file_that_differs_is_not_quantised_and_replaces_an_earlier_file(tmp_path, monkeypatch):
    def export(predictor, dataset, folder, **options):
        folder.mkdir()
        (folder / "model.onnx.rejected").write_bytes(b"float")
        (folder / "classes.json").write_text(json.dumps(INFO))
        parity = Parity(images=1)
        parity.add("image 1: logits differs")
        return ExportResult(folder, (folder / "model.onnx.rejected",), parity)

    monkeypatch.setattr(int8, "export_predictor", export)
    (tmp_path / "model.onnx").write_bytes(b"old")
    (tmp_path / "run_onnx.py").write_bytes(b"old")
    result = int8.export_int8(None, RUN, None, DATA, tmp_path)
    assert result.parity.problems == ("the float file differs from the run's model: image 1: logits differs",)
    assert {file.name for file in tmp_path.iterdir()} == {"model.onnx.rejected", "classes.json", "parity.json"}
    assert (tmp_path / "model.onnx.rejected").read_bytes() == b"float"
    assert json.loads((tmp_path / "classes.json").read_text()) == INFO


def test_an_interrupt_leaves_an_earlier_file_as_it_is(tmp_path, monkeypatch):
    def interrupt(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(int8, "export_predictor", interrupt)
    (tmp_path / "model.onnx").write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt):
        int8.export_int8(None, RUN, None, DATA, tmp_path)
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"old"]


@pytest.mark.slow
def test_a_run_becomes_a_file_of_8_bits_that_is_as_good(cli, shared_runs, tmp_path, monkeypatch):
    """Its speed depends on the machine, and that of a small network on chance: the quantiser is real, the clock not."""
    monkeypatch.setattr(quantization, "check_int8_supported", lambda: None)
    monkeypatch.setattr(
        int8,
        "take_turns",
        lambda calls, *, seconds: {"float32": [0.004], "per_channel": [0.001, 0.002, 0.009], "per_tensor": [0.002]},
    )
    out = tmp_path / "out"
    code, printed, err = cli("export", f"run={shared_runs.of('classify')}", "int8=true", f"out={out}", "format=json")
    assert code == 0, printed + err
    document = json.loads(printed)["parity"]
    assert document == json.loads((out / "parity.json").read_text())
    assert sorted(file.name for file in out.iterdir()) == ["classes.json", "model.onnx", "parity.json", "run_onnx.py"]
    assert {file["scheme"]: file["milliseconds"] for file in document["files"]} == {
        "float32": 4.0, "per_channel": 2.0, "per_tensor": 2.0,
    }  # fmt: skip
    files = {file["scheme"]: file for file in document["files"]}
    assert list(files) == ["float32", "per_channel", "per_tensor"]
    assert files["float32"]["metric"] == document["run_metric"] > 0.8
    chosen = files[document["chosen"]]
    assert chosen["metric"] >= document["run_metric"] - 0.01
    assert chosen["num_bytes"] == (out / "model.onnx").stat().st_size < files["float32"]["num_bytes"] / 2
    kinds = [node.op_type for node in onnx.load(out / "model.onnx").graph.node]
    assert kinds.count("QuantizeLinear") >= 4
    assert not {"DynamicQuantizeLinear", "ConvInteger"} & {*kinds}
    info = json.loads((out / "classes.json").read_text())
    assert OnnxModel(out / "model.onnx").info == info
    assert (info["int8"], info["quantization"]) == (True, document["chosen"])
