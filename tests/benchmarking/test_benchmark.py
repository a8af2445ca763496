"""The benchmark of networks with random weights, in this process."""

import os

import pytest
import torch

from tests.helpers.compositions import composed_once
from visionkit.benchmarking.benchmark import run_benchmark
from visionkit.benchmarking.networks import NetworkSpec, load_network, make_batch, read_images
from visionkit.benchmarking.options import BenchmarkOptions
from visionkit.console import Printer
from visionkit.errors import UserError


@pytest.fixture(scope="module")
def plain():
    from visionkit.cli.overrides import parse_overrides
    from visionkit.cli.resolve import resolve

    words = ["backbone=lenet", "hardware=cpu"]
    with composed_once():
        return resolve(parse_overrides(words, groups=["backbone", "hardware"], options=[], verb="train"), [])


def measure(plain, **options):
    spec = NetworkSpec("lenet", plain)
    read = BenchmarkOptions(seconds=0.01, threads=1, memory=False, **options)
    return run_benchmark([spec], read, monitor="val/accuracy", printer=Printer.silent())


def test_an_engine_that_fails_is_a_row_with_its_reason_and_the_others_are_measured(plain, monkeypatch):
    class NoCompiler:
        def __call__(self, *inputs):
            raise RuntimeError("no working\nC++ compiler")

    monkeypatch.setattr(torch, "compile", lambda model, **options: NoCompiler())
    threads = torch.get_num_threads()
    found = measure(plain, engines=("compile", "eager"), batch=(1, 3))
    assert [(row.engine, row.batch, bool(row.times)) for row in found.rows] == [
        ("compile", 1, False), ("compile", 3, False), ("eager", 1, True), ("eager", 3, True),
    ]  # fmt: skip
    assert found.rows[0].error == "torch.compile failed: RuntimeError: no working C++ compiler"
    assert found.rows[2].times.calls >= 5
    assert (found.threads, torch.get_num_threads()) == (1, threads)


def test_int8_without_a_run_and_onnx_without_its_package_say_what_to_type(plain, monkeypatch):
    found = measure(plain, engines=("onnx-int8",), batch=(1,))
    assert found.rows[0].error.endswith("Name one: run=FOLDER")
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if "onnx" in name else real(name, *rest))
    found = measure(plain, engines=("onnx",), batch=(1,))
    assert 'Try: pip install "visionkit[onnx]"' in found.rows[0].error


@pytest.mark.parametrize(("load", "busy"), [(1000.0, True), (0.0, False)])
def test_a_busy_machine_is_told(plain, monkeypatch, load, busy):
    monkeypatch.setattr(os, "getloadavg", lambda: (load, load, load))
    found = measure(plain, engines=("eager",), batch=(1,))
    assert any("The machine is busy (a load of 1000.0 on" in note for note in found.notes) == busy


def test_random_weights_are_the_same_each_time_and_so_is_the_noise(plain):
    first, second = (load_network(NetworkSpec("lenet", plain)) for _ in range(2))
    images, sizes = make_batch(first, read_images(first, None, 2))
    assert (images.shape, images.dtype, sizes) == ((2, 1, 32, 32), torch.uint8, None)
    again, _ = make_batch(second, read_images(second, None, 2))
    assert torch.equal(images, again)
    with torch.inference_mode():
        assert torch.equal(first.model(images)["logits"], second.model(again)["logits"])


def test_weights_of_a_network_without_a_run_are_refused(plain):
    with pytest.raises(UserError, match="Leave weights= out, or measure a run"):
        load_network(NetworkSpec("lenet", {**plain, "weights": "imagenet"}))


def test_an_image_too_small_for_the_network_is_refused_with_the_layer(plain):
    with pytest.raises(UserError, match="5x5 kernel does not fit"):
        load_network(NetworkSpec("lenet", plain, image_size=(2, 2)))


def test_a_network_that_compiles_is_timed_as_one_that_does_not(plain, monkeypatch):
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda model, **options: compiled.append(model) or model)
    (row,) = measure(plain, engines=("compile",), batch=(2,)).rows
    assert (row.error, row.batch, len(compiled)) == ("", 2, 1)
    assert 0 < row.times.p50 <= row.times.p99


def test_a_network_is_measured_at_the_size_that_is_typed(plain):
    spec = NetworkSpec("lenet", plain, image_size=(48, 40))
    options = BenchmarkOptions(engines=("eager",), batch=(1,), seconds=0.01, threads=1, memory=False)
    (row,) = run_benchmark([spec], options, monitor="val/accuracy", printer=Printer.silent()).rows
    assert (row.error, row.image_size) == ("", (48, 40))


@pytest.mark.slow
def test_a_network_without_a_run_is_exported_with_its_random_weights_and_measured(plain):
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: pip install 'visionkit[onnx]'")
    (row,) = measure(plain, engines=("onnx",), batch=(2,)).rows
    assert (row.error, row.image_size, row.score) == ("", (32, 32), None)
    assert 0 < row.times.p50 <= row.times.p99
