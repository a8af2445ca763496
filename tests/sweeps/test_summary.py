"""The numbers under a sweep's table."""

import csv
import json
import math
from dataclasses import replace

import pytest

from visionkit.console import Printer
from visionkit.sweeps.folder import SweepFolder
from visionkit.sweeps.groups import best_run, confidence, describe_repeats, group_runs, withhold_tests
from visionkit.sweeps.job import RunRow
from visionkit.sweeps.summary import SweepSummary, group_json, shorten, sweep_grid
from visionkit.tasks.info import TASKS

ACCURACY = TASKS["classify"]
INTERVAL = ", mean ± half the 95 % interval of the mean (Student's t)"
LOSS = replace(TASKS["classify"], monitor="val/loss", mode="min")


def row(number, value, *, metric="val/accuracy", status="done", **overrides):
    return RunRow(number, overrides, status, {metric: value})


def test_the_interval_is_that_of_scipys_t_distribution():
    from scipy import stats

    values = [0.91, 0.93, 0.90, 0.97]
    low, high = stats.t.interval(0.95, 3, loc=sum(values) / 4, scale=stats.sem(values))
    assert confidence(values) == pytest.approx((high - low) / 2, rel=1e-12)


def test_the_interval_of_three_values_by_hand():
    """Student's table: t(0.975, 2) = 4.303; the standard deviation of 1, 2, 3 is 1."""
    assert confidence([1.0, 2.0, 3.0]) == pytest.approx(4.303 / math.sqrt(3), abs=1e-3)


def test_one_seed_has_no_interval():
    assert confidence([0.9]) is None


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_number_that_is_not_finite_has_no_interval(value):
    assert confidence([0.9, value]) is None


def test_equal_values_have_no_interval_since_zero_would_read_as_certainty():
    assert confidence([0.91, 0.91, 0.91]) is None
    rows = [measured(n, 0.91, 0.9, net="a", seed=str(n)) for n in range(3)]
    grid = sweep_grid(group_runs(rows, ACCURACY), ACCURACY, title="")
    assert grid.rows[0][2] == "0.9100"
    assert grid.notes[0].startswith("No ± stands where there is one run, or where all have the same value")


def test_groups_of_different_sizes_say_of_how_many_runs_their_means_are():
    rows = [row(n, 0.5 + n / 10, net="a", seed=str(n)) for n in range(3)]
    rows += [row(n, 0.5 + n / 10, net="b", seed=str(n)) for n in range(3, 5)]
    assert describe_repeats(group_runs(rows, ACCURACY)) == f"{INTERVAL} over 2 to 3 seeds"


def test_runs_that_differ_by_their_seed_are_one_group_and_the_best_mean_comes_first():
    rows = [row(0, 0.5, net="a", seed="0"), row(1, 0.7, net="a", seed="1"), row(2, 0.65, net="b", seed="0")]
    groups = group_runs(rows, ACCURACY)
    assert [(g.overrides, [r.number for r in g.rows]) for g in groups] == [({"net": "b"}, [2]), ({"net": "a"}, [0, 1])]
    assert groups[1].mean("val/accuracy")[0] == pytest.approx(0.6)


def test_where_less_is_better_the_smallest_comes_first_and_no_number_last():
    rows = [row(n, v, metric="val/loss", net=str(n)) for n, v in enumerate([0.3, math.nan, 0.1])]
    assert [g.rows[0].number for g in group_runs(rows, LOSS)] == [2, 0, 1]
    assert best_run(rows, LOSS).number == 2


def test_only_finished_runs_are_compared_and_of_equals_the_first_is_the_best():
    rows = [row(0, 0.99, status="pruned"), row(1, 0.8), row(2, 0.8), row(3, 0.9, status="interrupted")]
    assert best_run(rows, ACCURACY).number == 1
    assert best_run(rows[:1], ACCURACY) is None


@pytest.mark.parametrize(
    ("text", "short"), [("0.0123456789", "0.01235"), ("lenet_by_hand", "lenet_by_hand"), ("3", "3")]
)
def test_long_numbers_are_shortened_for_reading(text, short):
    assert shorten(text) == short


def test_runs_that_differ_by_their_fold_are_one_group_and_the_title_says_over_what_the_mean_is():
    rows = [row(n, 0.5 + n / 10, **{"net": "a", "dataset.fold": str(n)}) for n in range(3)]
    (group,) = group_runs(rows, ACCURACY)
    assert group.overrides == {"net": "a"}
    mean, half_width = group.mean("val/accuracy")
    assert (mean, half_width) == (pytest.approx(0.6), pytest.approx(4.303 * 0.1 / math.sqrt(3), abs=1e-4))
    assert describe_repeats([group]) == f"{INTERVAL} over 3 folds"
    both = group_runs([*rows, row(3, 0.5, **{"net": "a", "dataset.fold": "0", "seed": "1"})], ACCURACY)
    assert describe_repeats(both) == f"{INTERVAL} over 4 seeds and folds"
    assert describe_repeats(group_runs(rows[:1], ACCURACY)) == ""


def measured(number, val, test, **overrides):
    metrics = {"val/accuracy": val, "test/accuracy": test, "test/loss": 1.0, "epochs": 3}
    return RunRow(number, overrides, "done", metrics, parameters=1000, seconds=2.0)


SEVERAL = [
    measured(0, 0.5, 0.99, net="a", seed="0"),
    measured(1, 0.7, 0.60, net="a", seed="1"),
    measured(2, 0.65, 0.61, net="b", seed="0"),
    measured(3, 0.66, 0.62, net="b", seed="1"),
]


def test_the_best_by_validation_alone_has_numbers_of_the_test_split():
    kept = {row.number: row.metrics for row in withhold_tests(SEVERAL, ACCURACY)}
    assert {number for number, metrics in kept.items() if "test/accuracy" in metrics} == {2, 3}
    assert kept[0] == {"val/accuracy": 0.5, "epochs": 3}
    assert kept[3] == SEVERAL[3].metrics
    assert SEVERAL[0].metrics["test/accuracy"] == 0.99
    assert best_run(SEVERAL, ACCURACY).number == 3  # a luckier seed of another net is not the best net


def test_where_no_run_is_done_no_number_of_the_test_split_is_shown():
    rows = [row(0, 0.9, status="pruned"), row(1, 0.9, metric="test/accuracy", status="interrupted")]
    assert [one.metrics for one in withhold_tests(rows, ACCURACY)] == [{"val/accuracy": 0.9}, {}]


def test_the_table_has_the_test_split_of_the_first_row_alone_and_names_what_its_columns_hold():
    groups = group_runs(withhold_tests(SEVERAL, ACCURACY), ACCURACY)
    grid = sweep_grid(groups, ACCURACY, title="by val/accuracy")
    assert grid.headings == ["runs", "net", "val/accuracy", "test/accuracy", "parameters", "seconds per run"]
    assert [cells[0] for cells in grid.rows] == ["2 3", "0 1"]
    assert grid.rows[0][3].startswith("0.6150 ± ")
    assert grid.rows[1][3] == ""
    assert grid.notes[0].startswith("test/accuracy is that of the best by val/accuracy alone")
    single = sweep_grid(group_runs(SEVERAL[:1], ACCURACY), ACCURACY, title="")
    assert (single.headings[0], single.headings[-1]) == ("run", "seconds")
    documents = [group_json(group, ["val/accuracy", "test/accuracy"]) for group in groups]
    assert ["test/accuracy" in document["metrics"] for document in documents] == [True, False]


def test_table_file_and_document_of_a_sweep_keep_the_test_split_of_the_others_back(tmp_path, capsys):
    folder = SweepFolder.plan(str(tmp_path / "a"), ["net=a,b", "seed=0,1"])
    folder.info = ACCURACY
    folder.start()
    for one in SEVERAL:
        folder.add_row(one)
    with folder.table_file.open() as file:
        cells = {line["number"]: line["test/accuracy"] for line in csv.DictReader(file)}
    assert cells == {"0": "", "1": "", "2": "0.61", "3": "0.62"}
    SweepSummary(folder, ACCURACY, "-m net=a,b", as_json=True).print(Printer.silent(), resumable=False)
    document = json.loads(capsys.readouterr().out)
    assert ["test/accuracy" in one["metrics"] for one in document["runs"]] == [False, False, True, True]
    assert document["best"] == 3
