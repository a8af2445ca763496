"""The budget of seconds that each folder of tests has."""

import json
from types import SimpleNamespace

import pytest

from tests.helpers.budget import calibrate, folder_of, kind_of_run, over_budget
from tests.helpers.paths import REPOSITORY

pytest_plugins = ["pytester"]


@pytest.mark.parametrize(
    ("nodeid", "folder"),
    [
        ("tests/test_readme.py::test_a[x/y]", "tests"),
        ("tests/data/test_order.py::test_a", "tests/data"),
        ("tests/data/sources/test_coco.py::TestB::test_a", "tests/data"),
    ],
)
def test_a_test_counts_for_the_first_folder_below_tests(nodeid, folder):
    assert folder_of(nodeid) == folder


def test_a_folder_over_its_budget_is_told_and_one_within_it_is_not():
    (line,) = over_budget({"tests/a": 126.0, "tests/b": 124.0}, {"tests/a": 100, "tests/b": 100}, slowdown=1.0)
    assert line.startswith("tests/a: 126 s, and its budget is 100 s")


def test_a_slow_machine_has_more_seconds_and_a_quick_one_fewer():
    assert over_budget({"tests/a": 240.0}, {"tests/a": 100}, slowdown=2.0) == []
    assert len(over_budget({"tests/a": 70.0}, {"tests/a": 100}, slowdown=0.5)) == 1


def test_the_piece_of_work_takes_milliseconds():
    calibrate()
    assert 1e-4 < calibrate() < 1


def test_a_small_folder_may_be_some_seconds_over():
    assert over_budget({"tests/a": 5.9}, {"tests/a": 1}, slowdown=1.0) == []
    assert len(over_budget({"tests/a": 6.1}, {"tests/a": 1}, slowdown=1.0)) == 1


def test_a_folder_without_a_budget_is_told():
    assert len(over_budget({"tests/new": 6.0}, {}, slowdown=1.0)) == 1


def _config(*, args_source=pytest.Config.ArgsSource.TESTPATHS, **options):
    defaults = {"keyword": "", "collectonly": False, "markexpr": "not slow", "lf": False}
    return SimpleNamespace(args_source=args_source, option=SimpleNamespace(**{**defaults, **options}))


def test_whole_runs_are_told_from_parts():
    assert kind_of_run(_config()) == "quick"
    assert kind_of_run(_config(markexpr="slow")) == "slow"
    assert kind_of_run(_config(markexpr="")) is None
    assert kind_of_run(_config(keyword="lenet")) is None
    assert kind_of_run(_config(lf=True)) is None
    assert kind_of_run(_config(collectonly=True)) is None
    assert kind_of_run(_config(args_source=pytest.Config.ArgsSource.ARGS)) is None


@pytest.fixture
def suite(pytester, monkeypatch):
    """A suite of one test that takes 0.2 s, without slack; ``suite(budget, *words)`` runs it."""
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # other packages' plugins take longer than the suite
    pytester.makeini("[pytest]\ntestpaths = tests\nmarkers = slow\n")
    conftest = (
        "from pathlib import Path\n"
        "from tests.helpers import budget\n"
        "budget.SLACK = 0.0\n"
        "budget.calibrate = lambda: 1e-3\n"
        "def pytest_configure(config):\n"
        "    config.pluginmanager.register(budget.BudgetPlugin(config, Path('budget.json').absolute()))\n"
    )
    pytester.makepyfile(conftest=conftest)

    def run(seconds, *words, test="def test_one():\n    time.sleep(0.2)\n"):
        pytester.makepyfile(**{"tests/a/test_one": f"import time\nimport pytest\n{test}"})
        content = {"calibration": 1e-3, "quick": {"tests/a": seconds}, "slow": {}}
        pytester.path.joinpath("budget.json").write_text(json.dumps(content))
        return pytester.runpytest_subprocess("-p", "xdist.plugin", "-m", "not slow", *words)

    return run


@pytest.mark.parametrize("workers", [0, 2])
def test_a_whole_run_over_its_budget_fails_and_says_where(suite, workers):
    result = suite(1e-6, f"-n{workers}")
    result.assert_outcomes(passed=1)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["tests/a: 0 s, and its budget is 0 s*"])


def test_a_whole_run_within_its_budget_passes(suite):
    assert suite(1000).ret == 0


def test_a_kind_of_run_that_was_never_measured_is_not_judged_and_says_so(suite):
    result = suite(1e-6, "-m", "slow", test="@pytest.mark.slow\ndef test_one():\n    pass\n")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["budget: tests/budget.json has no seconds for slow runs; --update-budget measures *"])


@pytest.mark.parametrize("words", [["tests/a"], ["-k", "one"]])
def test_a_part_of_the_suite_is_not_judged(suite, words):
    assert suite(1e-6, *words).ret == 0
