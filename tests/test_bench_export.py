"""The limits of `tools/bench_export.py`: what misses one ends it with exit code 1."""

import importlib
import json
import sys

import pytest

from tests.helpers.paths import REPOSITORY

ENVIRONMENT = {"versions": {"torch": "2"}, "cpu": "a CPU", "cpu_cores": 2, "threads": 2}


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(str(REPOSITORY / "tools"))
    return importlib.import_module("bench_export")


def run(bench, monkeypatch, tmp_path, *, onnx=0.5, int8=0.5, refused="", vnni=True, seconds=9.0, problem=""):
    """The exit code of one network and the slowest export, and the JSON."""

    class Done:
        def __init__(self, engines):
            times = {"eager": 1.0, "onnx": onnx, "onnx-int8": int8}
            rows = [{"p50_ms": times[engine], "image_size": [4, 4]} for engine in engines]
            self.stdout = json.dumps({"rows": rows, "notes": [], "environment": ENVIRONMENT})

    def export(folder, *words):
        if words:
            return 1.0, refused
        return (seconds, problem) if folder.name == "slowest" else (1.0, "")

    def engines(words):
        return next(word for word in words if word.startswith("engines=")).partition("=")[2].split(",")

    monkeypatch.setattr(bench, "command", lambda verb, *words: Done(engines(words)))
    monkeypatch.setattr(bench, "train", lambda words, folder: folder)
    monkeypatch.setattr(bench, "export", export)
    monkeypatch.setattr(bench, "has_vnni", lambda: vnni)
    file = tmp_path / "figures.json"
    monkeypatch.setattr(sys, "argv", ["bench_export.py", "--cases", "resnet18", "--json", str(file)])
    code = bench.main()
    return code, json.loads(file.read_text())


def test_figures_within_the_limits_pass(bench, monkeypatch, tmp_path, capsys):
    code, figures = run(bench, monkeypatch, tmp_path, onnx=0.7, int8=0.6, seconds=60.0)
    assert (code, figures["rows"][0]["passed"], figures["slowest_export"]["passed"]) == (0, True, True)
    assert figures["rows"][0]["ratio_to_eager"] == {"onnx": 0.7, "onnx-int8": 0.6}
    assert capsys.readouterr().out.splitlines()[-1] == "all limits are kept"


@pytest.mark.parametrize(
    ("figures", "problem"),
    [
        ({"onnx": 0.71}, "onnx takes 0.71 times as long as eager, at most 0.7 is wanted"),
        ({"int8": 0.61}, "onnx-int8 takes 0.61 times as long as eager, at most 0.6 is wanted"),
        ({"refused": "it is slower"}, "int8 is refused, and the CPU has VNNI: it is slower"),
    ],
)
def test_a_network_that_misses_a_limit_fails_with_the_reason(bench, monkeypatch, tmp_path, capsys, figures, problem):
    code, found = run(bench, monkeypatch, tmp_path, **figures)
    assert (code, found["rows"][0]["passed"], found["rows"][0]["problems"]) == (1, False, [problem])
    assert f"MISSED: {problem}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("figures", "problem"),
    [
        ({"seconds": 60.1}, "the export takes 60.1 s, at most 60 s are wanted"),
        ({"problem": "REJECTED"}, "REJECTED"),
    ],
)
def test_the_slowest_export_fails_where_it_is_too_slow_or_refused(bench, monkeypatch, tmp_path, figures, problem):
    code, found = run(bench, monkeypatch, tmp_path, **figures)
    assert (code, found["rows"][0]["passed"], found["slowest_export"]["problems"]) == (1, True, [problem])


def test_8_bits_may_be_refused_where_the_cpu_has_no_vnni(bench, monkeypatch, tmp_path):
    code, found = run(bench, monkeypatch, tmp_path, refused="no VNNI", vnni=False)
    assert (code, found["rows"][0]["passed"], list(found["rows"][0]["ratio_to_eager"])) == (0, True, ["onnx"])
