"""A pytest plugin: each folder of tests has a number of seconds, and a whole run that takes more of them fails.

The seconds of a folder are the durations of its tests (setup, call and teardown) over all workers. Machines differ and
are shared, so every worker times a fixed piece of work now and then; all seconds are divided by how much slower than
the reference in budget.json that piece ran on average.
"""

import json
import time
from collections import defaultdict

import pytest

EXCESS = 0.25
"""The share of its budget by which a folder may be over it."""
SLACK = 5.0
"""Seconds by which any folder may be over its budget."""
SECONDS_BETWEEN_SAMPLES = 5.0


def folder_of(nodeid):
    """The folder of a test: ``tests/data`` for all below it, ``tests`` for files directly in it."""
    parts = nodeid.partition("::")[0].split("/")[:-1]
    return "/".join(parts[:2])


def over_budget(seconds, budgets, *, slowdown):
    """One line per folder that took too long.

    Args:
        seconds: Measured seconds by folder.
        budgets: Allowed seconds by folder on the machine of the reference; a folder without any has 0.
        slowdown: How much slower this machine is than that one.
    """
    lines = []
    for folder, measured in sorted(seconds.items()):
        scaled, budget = measured / slowdown, budgets.get(folder, 0)
        if scaled > max(budget * (1 + EXCESS), budget + SLACK):
            lines.append(
                f"{folder}: {scaled:.0f} s, and its budget is {budget:.0f} s (measured {measured:.0f} s on a machine "
                f"{slowdown:.2f} times as slow as the reference). Shrink or mark tests as slow, or raise the budget "
                "in tests/budget.json, --update-budget measures it."
            )
    return lines


def kind_of_run(config):
    """``quick`` or ``slow`` for a whole run of that kind, None for a part of one."""
    option = config.option
    partial = (
        config.args_source is pytest.Config.ArgsSource.ARGS
        or option.keyword
        or option.collectonly
        or getattr(option, "deselect", None)
        or getattr(option, "ignore", None)
        or getattr(option, "lf", False)
        or getattr(option, "stepwise", False)
    )
    return None if partial else {"not slow": "quick", "slow": "slow"}.get(option.markexpr)


def calibrate():
    """Seconds that a fixed piece of work takes: half of it Python, half torch on small tensors."""
    import torch

    began = time.perf_counter()
    table = {}
    for number in range(30_000):
        table[number % 1000] = table.get(number % 1000, 0) + number
    images = torch.ones(4, 8, 32, 32)
    kernel = torch.ones(8, 8, 3, 3)
    for _ in range(20):
        images = torch.nn.functional.conv2d(images, kernel, padding=1).mul_(0.01)
    return time.perf_counter() - began


class BudgetPlugin:
    """Adds up durations where reports arrive, and times the fixed piece of work where tests run.

    Attributes:
        path: The file with ``calibration`` (seconds) and the tables ``quick`` and ``slow`` (seconds by folder).
    """

    def __init__(self, config, path):
        self.config = config
        self.path = path
        self.seconds = defaultdict(float)
        self.samples = []
        self.lines = []
        self._kind = kind_of_run(config)
        self._sampled = float("-inf")

    def pytest_runtest_logreport(self, report):
        self.seconds[folder_of(report.nodeid)] += report.duration

    def pytest_runtest_protocol(self):
        if self._runs_tests and self._kind and time.monotonic() - self._sampled > SECONDS_BETWEEN_SAMPLES:
            if not self.samples:
                calibrate()  # imports and first calls are not counted
            self.samples.append(calibrate())
            self._sampled = time.monotonic()

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node):
        self.samples += getattr(node, "workeroutput", {}).get("budget_samples", [])

    def pytest_sessionfinish(self, session, exitstatus):
        if self._is_worker:
            self.config.workeroutput["budget_samples"] = self.samples
        elif self._kind and self.samples and exitstatus == pytest.ExitCode.OK:
            self._judge(session)

    def pytest_terminal_summary(self, terminalreporter):
        for line in self.lines:
            terminalreporter.write_line(line)

    @property
    def _is_worker(self):
        return hasattr(self.config, "workerinput")

    @property
    def _runs_tests(self):
        return self._is_worker or getattr(self.config.option, "dist", "no") == "no"

    def _judge(self, session):
        content = json.loads(self.path.read_text(encoding="utf-8"))
        speed = sum(self.samples) / len(self.samples)
        if self.config.getoption("--update-budget", default=False):
            slowdown = speed / content["calibration"]
            content[self._kind] = {
                folder: max(1, round(seconds / slowdown)) for folder, seconds in sorted(self.seconds.items())
            }
            self.path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
            self.lines = [f"budget: {self._kind} written to {self.path}, slowdown {slowdown:.2f}"]
            return
        if not content[self._kind]:
            self.lines = [
                f"budget: tests/budget.json has no seconds for {self._kind} runs; --update-budget measures them"
            ]
            return
        self.lines = over_budget(self.seconds, content[self._kind], slowdown=speed / content["calibration"])
        if self.lines:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
