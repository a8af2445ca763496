"""The engines and scores of networks, with files written by hand and without real evaluations."""

import json
from dataclasses import dataclass, replace
from types import SimpleNamespace

import pytest
import torch

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: pip install 'visionkit[onnx]'")
pytest.importorskip("onnx", reason="onnx is not installed: pip install 'visionkit[onnx]'")

from tests.helpers.onnx_files import write_onnx
from visionkit.benchmarking import candidates
from visionkit.benchmarking.candidates import Candidate, score_candidates
from visionkit.benchmarking.engines import check_file, onnx_file
from visionkit.benchmarking.networks import NetworkSpec
from visionkit.benchmarking.options import BenchmarkOptions
from visionkit.console import Printer
from visionkit.errors import UserError
from visionkit.runs.exports import weights_digest
from visionkit.runs.folder import FORMAT_VERSION
from visionkit.runs.paths import RunPaths
from visionkit.settings import Hardware

DATA = {"class_names": ["cat", "dog"], "in_channels": 1, "image_size": [4, 4], "mean": [0.5], "std": [0.5]}
GPU = Hardware(
    accelerator="gpu", devices=2, num_nodes=1, node_rank=0, rendezvous=None, timeout=60, strategy="ddp",
    sync_batch_norm=False, precision="bf16", compile=False, channels_last=False,
    gradient_checkpointing=False,
)  # fmt: skip


@pytest.fixture
def run(tmp_path):
    """A folder that is a run for what reads exported files."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "config.yaml").write_text(
        f"format_version: {FORMAT_VERSION}\ntask: {{name: classify}}\nbackbone: {{name: lenet}}\n"
    )
    (folder / "data.json").write_text(json.dumps(DATA))
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


def network(**values):
    device = torch.device(values.pop("device", "cpu"))
    return SimpleNamespace(task="classify", data=DATA, device=device, inference=None, **values)


def check(run, file, *, size=(4, 4), image_size=None):
    batch = (torch.zeros(1, 1, *size, dtype=torch.uint8), None)
    check_file(NetworkSpec("net", {}, run, image_size), network(), file, batch, exact=False, noise=True)


def test_a_file_of_8_bits_of_earlier_weights_is_refused_and_one_of_the_present_ones_is_not(run):
    file = run / "exports" / "onnx-int8" / "model.onnx"
    check(run, write_onnx(file, weights=weights_digest(RunPaths(run))))
    write_onnx(file, weights="0" * 64)
    with pytest.raises(UserError, match=r"has other weights than the run .* to=onnx int8=true"):
        check(run, file)


def test_a_file_of_another_size_is_to_be_exported_again_and_one_that_image_size_does_not_fit_is_left_out(run):
    file = run / "exports" / "onnx" / "model.onnx"
    side = [(r"batch,1,4,4\] images", "batch,1,height,width] images")]
    write_onnx(file, resize={"image_size": [8, 8]}, replace=side)
    with pytest.raises(UserError, match=r"image_size is \[8, 8\] in the file, .* Export it again"):
        check(run, file)
    write_onnx(file)
    with pytest.raises(UserError, match=r"takes images of 4 x 4 pixels alone, .* Leave image_size= out, or leave the"):
        check(run, file, size=(6, 6), image_size=(6, 6))


def test_a_file_of_8_bits_that_was_refused_is_not_said_to_be_missing(run):
    spec = NetworkSpec("net", {}, run)
    with pytest.raises(UserError, match=r"there is no '.*model.onnx'. Export it first: .* to=onnx int8=true$"):
        onnx_file(spec, network(), "onnx-int8", None, run, Printer.silent())
    (run / "exports" / "onnx-int8").mkdir(parents=True)
    (run / "exports" / "onnx-int8" / "model.onnx.rejected").touch()
    with pytest.raises(UserError, match=r"was refused when .* or is no faster, .* Leave onnx-int8 out"):
        onnx_file(spec, network(), "onnx-int8", None, run, Printer.silent())


@dataclass(frozen=True)
class Config:
    """A configuration of which the hardware is asked."""

    hardware: Hardware


def scored(run, monkeypatch, evaluate):
    """A candidate with three engines, of which ``onnx`` has a file, after its evaluation."""
    monkeypatch.setattr(candidates, "evaluate_run", evaluate)
    monkeypatch.setattr(NetworkSpec, "config", lambda spec: Config(GPU))
    engines = dict.fromkeys(("eager", "compile", "onnx"), lambda batch: {})
    found = Candidate(
        NetworkSpec("net", {}, run), network(device="cuda"), True, {}, engines, {"onnx": run / "model.onnx"}
    )
    score_candidates([found], "val/accuracy", BenchmarkOptions(), [], Printer.silent())
    return found


def test_beside_a_network_on_the_gpu_a_file_is_evaluated_on_the_cpu(run, monkeypatch):
    calls = []

    def evaluate(config, folder, processes, *, onnx_file, **options):
        calls.append((onnx_file and onnx_file.name, config.hardware, processes.accelerator))
        return SimpleNamespace(scalars={"val/accuracy": 0.5 + 0.25 * (onnx_file is not None)})

    found = scored(run, monkeypatch, evaluate)
    on_cpu = replace(GPU, accelerator="cpu", devices=1, precision="32")
    assert calls == [(None, GPU, "cuda"), ("model.onnx", on_cpu, "cpu")]
    assert found.scores == {"eager": 0.5, "compile": 0.5, "onnx": 0.75}


def test_a_file_that_cannot_be_evaluated_is_left_out_with_the_reason_and_the_others_are_scored(run, monkeypatch):
    def evaluate(config, folder, processes, *, onnx_file, **options):
        if onnx_file is not None:
            raise UserError("it has other weights")
        return SimpleNamespace(scalars={"val/accuracy": 0.5})

    found = scored(run, monkeypatch, evaluate)
    assert found.errors == {"onnx": "it cannot be evaluated: it has other weights"}
    assert (list(found.engines), found.scores) == (["eager", "compile"], {"eager": 0.5, "compile": 0.5})
