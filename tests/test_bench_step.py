"""The limits of `tools/bench_step.py`, and that both sides train the same network."""

import importlib
import json
import sys

import pytest
import torch

from tests.helpers.paths import REPOSITORY


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(str(REPOSITORY / "tools"))
    return importlib.import_module("bench_step")


@pytest.mark.parametrize(("ratio", "code"), [(0.85, 0), (0.86, 1)])
def test_a_case_above_its_limit_ends_with_1(bench, monkeypatch, tmp_path, capsys, ratio, code):
    cost = lambda seconds: (seconds, seconds, 0.0)  # noqa: E731
    monkeypatch.setattr(bench, "make_steps", lambda *arguments, **options: (None, None))
    monkeypatch.setattr(bench.bench, "time_pair", lambda *steps, **options: [(cost(ratio), cost(1.0))])
    file = tmp_path / "speed.json"
    monkeypatch.setattr(sys, "argv", ["bench_step.py", "--cases", "resnet18@224", "--json", str(file)])
    threads = torch.get_num_threads()
    assert bench.main() == code
    torch.set_num_threads(threads)
    (row,) = json.loads(file.read_text())["rows"]
    assert (row["limit"], row["passed"]) == (0.85, code == 0)
    assert capsys.readouterr().out.splitlines()[-1] == ("MISSED: resnet18@224" if code else "all limits are kept")


def test_both_sides_take_the_same_step(bench, monkeypatch):
    """Float32 in other layouts: the weights differ by rounding, and have moved."""
    networks = {}
    create = bench.networks
    monkeypatch.setattr(bench, "networks", lambda name: networks.setdefault(name, create(name)))
    ours, theirs = bench.make_steps("resnet18", size=64, batch=4)
    reference, model = networks["resnet18"]
    before = reference.fc.weight.detach().clone()
    ours()
    theirs()
    moved = reference.fc.weight.detach() - before
    assert moved.abs().max() > 0
    found = next(p for p in model.head.parameters() if p.shape == before.shape).detach() - before
    torch.testing.assert_close(found, moved, rtol=1e-2, atol=1e-6)
