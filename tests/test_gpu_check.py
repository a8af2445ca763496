"""The script for a borrowed GPU: all its parts run, and one that fails or hangs stops no other."""

import importlib
import json
import sys

import pytest
import torch

from tests.helpers.paths import REPOSITORY


@pytest.fixture
def gpu_check(monkeypatch):
    monkeypatch.syspath_prepend(str(REPOSITORY / "tools"))
    return importlib.import_module("gpu_check")


def run(gpu_check, monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["gpu_check.py", *words])
    return gpu_check.main()


def test_without_a_gpu_it_says_so_and_ends_with_2(gpu_check, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert run(gpu_check, monkeypatch) == 2
    assert "torch finds no NVIDIA GPU here. Try: --cpu-rehearsal" in capsys.readouterr().err


def test_the_parts_fit_into_ten_minutes(gpu_check):
    assert sum(gpu_check.LIMITS.values()) <= 600


SCRIPT = """
import json, sys, time
part, rows = sys.argv[sys.argv.index("--part") + 1], sys.argv[sys.argv.index("--rows") + 1]
fault = "too slow" if part == "resnet50" else None
open(rows, "a").write(json.dumps({"name": part, "fault": fault, "ratio": 0.5}) + "\\n")
if part == "parity":
    sys.exit("no such kernel")
if part == "training":
    time.sleep(60)
"""


def test_a_part_that_fails_or_hangs_is_recorded_with_its_rows_and_the_others_run(
    gpu_check, monkeypatch, tmp_path, capsys
):
    script, file = tmp_path / "parts.py", tmp_path / "gpu.json"
    script.write_text(SCRIPT)
    monkeypatch.setattr(gpu_check, "__file__", str(script))
    monkeypatch.setitem(gpu_check.LIMITS, "training", 1)
    parts = ("parity", "training", "resnet50", "retinanet")
    assert run(gpu_check, monkeypatch, "--cpu-rehearsal", "--parts", *parts, "--json", str(file)) == 1
    found = json.loads(file.read_text())["parts"]
    assert [found[name]["passed"] for name in parts] == [False, False, False, True]
    assert all(len(found[name]["rows"]) == 1 for name in parts)
    assert (found["parity"]["ended"], found["training"]["ended"]) == (1, "stopped after 1 s")
    assert "no such kernel" in found["parity"]["log"]
    assert found["resnet50"]["faults"] == ["resnet50"]
    assert "FAILED (1)" in capsys.readouterr().err


@pytest.mark.slow
def test_every_part_runs_in_tiny_sizes_on_the_cpu(gpu_check, monkeypatch, tmp_path):
    file = tmp_path / "gpu.json"
    for name in gpu_check.LIMITS:
        monkeypatch.setitem(gpu_check.LIMITS, name, 400)  # where many tests run at once
    run(gpu_check, monkeypatch, "--cpu-rehearsal", "--json", str(file))
    parts = json.loads(file.read_text())["parts"]
    assert {name: part["ended"] for name, part in parts.items()} == dict.fromkeys(gpu_check.LIMITS, 0)
    faults = {(name, fault) for name, part in parts.items() for fault in part["faults"]}
    assert faults <= {("speedrun", "recipe=speedrun")}  # where the package has no such recipe
    assert len(parts["parity"]["rows"]) == 16
    names = {row["name"] for part in parts.values() for row in part["rows"]}
    assert {"ours / torchvision compiled", "train / torchvision", "whole run / bare step"} <= names
