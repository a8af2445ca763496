"""Runs side by side: made folders, as train leaves them."""

import csv
import json

import pytest
from scipy.stats import chi2_contingency, norm

from visionkit.errors import UserError
from visionkit.metrics.differences import holm_adjusted
from visionkit.runs.comparison import compare_metrics, config_differences, open_runs, read_runs
from visionkit.runs.folder import FORMAT_VERSION
from visionkit.runs.tested_images import explain_other_images
from visionkit.yaml_files import dump_yaml


def _make_run(path, *, accuracy=(90, 100), task="classify", metrics=None, **changes):
    """A run with so many images of two classes right; ``changes`` replace sections of its configuration."""
    path.mkdir(parents=True)
    plain = {
        "backbone": {"name": "lenet"}, "dataset": {"type": "digits", "num_workers": None, "image_size": 32},
        "recipe": {"lr": 0.1, "batch_size": 8}, "debug": {"limit_batches": None, "batch_size": None},
        "task": {"name": task}, "run_dir": str(path), **changes,
    }  # fmt: skip
    (path / "config.yaml").write_text(dump_yaml({"format_version": FORMAT_VERSION, **plain}))
    (path / "metrics.csv").write_text("epoch,val/accuracy\n1,0.5\n")
    if accuracy is not None:
        right, count = accuracy
        with (path / "per_class.csv").open("w") as file:
            rows = [["a", count // 2, right // 2], ["b", count - count // 2, right - right // 2]]
            csv.writer(file).writerows([["class", "images", "correct"], *rows])
        numbers = {"test/accuracy": right / count, "test/accuracy_low": 0.5, "test/accuracy_high": 0.99}
        (path / "metrics.json").write_text(json.dumps(numbers if metrics is None else metrics))
    return path


def _runs(*paths):
    return read_runs(open_runs(",".join(map(str, paths))))


def test_runs_are_named_by_what_tells_them_apart(tmp_path):
    a, b = _runs(_make_run(tmp_path / "x" / "a"), _make_run(tmp_path / "y" / "b"))
    assert (a.name, b.name, a.correct, b.task) == ("x/a", "y/b", (90, 100), "classify")


def test_a_folder_of_runs_stands_for_them_in_the_order_of_their_numbers(tmp_path):
    for number in (10, 2, 1):
        _make_run(tmp_path / "sweep, of mine" / str(number))
    assert [path.name for path in open_runs(str(tmp_path / "sweep, of mine"))] == ["1", "2", "10"]


def test_folders_may_stand_in_brackets_and_quotes(tmp_path):
    a, b = _make_run(tmp_path / "a"), _make_run(tmp_path / "b")
    assert open_runs(f"['{a}', {b}]") == [a, b]


def test_one_run_twice_or_alone_or_too_many_are_refused(tmp_path):
    a = _make_run(tmp_path / "a")
    (tmp_path / "link").symlink_to(a)
    with pytest.raises(UserError, match=r"is named twice\. Expected different runs"):
        open_runs(f"{a},{tmp_path / 'link'}")
    with pytest.raises(UserError, match=r"compare: found 1 run in run=.*expected two or more: run=A,B"):
        open_runs(str(a))
    for number in range(21):
        _make_run(tmp_path / "many" / str(number), accuracy=None)
    with pytest.raises(UserError, match=r"compare: found 21 runs .*expected at most 20.*Name some of them: run=.*/0,"):
        open_runs(str(tmp_path / "many"))


def test_what_is_no_run_is_refused(tmp_path):
    a = _make_run(tmp_path / "apple")
    with pytest.raises(UserError, match=r"run: '.*aple' is no run folder: there is no such folder. Did you mean"):
        open_runs(f"{a},{tmp_path / 'aple'}")


def test_runs_of_different_tasks_are_refused(tmp_path):
    a, b = _make_run(tmp_path / "a"), _make_run(tmp_path / "b", task="detect", metrics={"test/map": 0.5})
    with pytest.raises(UserError, match=r"'.*a' has task classify, and '.*b' has task detect. Numbers of different"):
        _runs(a, b)


def test_accuracies_are_tested_as_two_proportions(tmp_path):
    runs = _runs(_make_run(tmp_path / "a", accuracy=(180, 200)), _make_run(tmp_path / "b", accuracy=(160, 200)))
    (difference,) = compare_metrics(runs)
    assert (difference.run, difference.reference, difference.metric) == ("b", "a", "test/accuracy")
    assert difference.difference == pytest.approx(-0.1)
    assert difference.p_value == pytest.approx(chi2_contingency([[180, 20], [160, 40]], correction=False).pvalue)
    assert (difference.test, difference.more_than_chance) == ("two proportions", True)


def test_other_metrics_are_tested_by_their_intervals(tmp_path):
    values = [{"test/map": m, "test/map_low": m - 0.1, "test/map_high": m + 0.1} for m in (0.5, 0.6)]
    runs = _runs(*(_make_run(tmp_path / n, task="detect", metrics=m) for n, m in zip("ab", values, strict=True)))
    (difference,) = compare_metrics(runs)
    assert difference.p_value == pytest.approx(2 * norm.sf(0.1 / (0.1 * 2**0.5 / norm.ppf(0.975))))
    assert (difference.test, difference.more_than_chance) == ("intervals", False)


def test_a_table_that_does_not_give_the_accuracy_is_not_taken_for_its_counts(tmp_path):
    metrics = {"test/accuracy": 0.7, "test/accuracy_low": 0.6, "test/accuracy_high": 0.8}
    runs = _runs(_make_run(tmp_path / "a", metrics=metrics), _make_run(tmp_path / "b"))
    assert runs[0].correct is None
    assert compare_metrics(runs)[0].test == "intervals"


def test_without_intervals_chance_cannot_be_known(tmp_path):
    values = {"a": 0.5, "b": 0.6}
    runs = _runs(*(_make_run(tmp_path / n, task="detect", metrics={"test/map": m}) for n, m in values.items()))
    (difference,) = compare_metrics(runs)
    assert (difference.p_value, difference.more_than_chance) == (None, None)
    assert difference.difference == pytest.approx(0.1)


def test_several_comparisons_are_adjusted_together_and_an_unfinished_run_takes_no_part(tmp_path):
    counts = {"a": (180, 200), "b": (165, 200), "c": (163, 200)}
    paths = [_make_run(tmp_path / name, accuracy=pair) for name, pair in counts.items()]
    runs = _runs(_make_run(tmp_path / "0", accuracy=None), *paths)
    raw = [chi2_contingency([[180, 20], [r, 200 - r]], correction=False).pvalue for r in (165, 163)]
    differences = compare_metrics(runs)
    assert [d.run for d in differences] == ["b", "c"]
    assert [d.p_value for d in differences] == pytest.approx(holm_adjusted(raw))
    assert (runs[0].headline, len(runs[0].history)) == (None, 1)


def test_only_settings_that_differ_are_given_and_a_missing_key_is_not_a_null(tmp_path):
    a = _make_run(tmp_path / "a", recipe={"lr": 0.1, "clip": None, "schedule": {"type": "cosine"}})
    b = _make_run(tmp_path / "b", recipe={"lr": 0.2, "schedule": {"type": "cosine"}})
    assert config_differences(_runs(a, b)) == {"recipe.lr": {"a": 0.1, "b": 0.2}, "recipe.clip": {"a": None}}


DIGITS = {"type": "digits", "num_workers": None, "image_size": 32}
PHOTOS = {"type": "folder", "root": "photos", "image_size": 32}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (DIGITS, {**DIGITS, "num_workers": 4, "augment": {"blur": {"p": 1}}, "mean": [0.2]}),
        (PHOTOS, {**PHOTOS, "root": "elsewhere/photos", "image_size": 64}),
    ],
)
def test_the_same_images_are_known_wherever_they_lie_and_however_they_are_treated(tmp_path, first, second):
    assert explain_other_images(
        _runs(_make_run(tmp_path / "a", dataset=first), _make_run(tmp_path / "b", dataset=second))
    ) == ""  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"dataset": {**DIGITS, "split_seed": 1}}, "b and a: dataset.split_seed differs"),
        ({"dataset": {**DIGITS, "image_size": 64}}, "b and a: dataset.image_size differs"),
        ({"debug": {"limit_batches": 2, "batch_size": None}}, "b and a: debug.limit_batches leaves out other images"),
        ({"accuracy": (80, 90)}, "b and a: per_class.csv counts other images"),
        ({"metrics": {"val/accuracy": 0.9}}, "b and a: val/accuracy and test/accuracy are of different splits"),
    ],
)
def test_other_images_are_said_with_the_reason(tmp_path, changes, reason):
    text = explain_other_images(_runs(_make_run(tmp_path / "a"), _make_run(tmp_path / "b", **changes)))
    assert text.startswith(reason)


def test_another_division_is_said_if_it_changes_the_test(tmp_path):
    a, b = _make_run(tmp_path / "a"), _make_run(tmp_path / "b")
    split = {"train": ["1"], "val": ["2"], "test": ["3"]}
    (a / "splits.json").write_text(json.dumps(split))
    (b / "splits.json").write_text(json.dumps({**split, "train": ["4"]}))
    assert explain_other_images(_runs(a, b)) == ""
    (b / "splits.json").write_text(json.dumps({**split, "test": ["4"]}))
    assert explain_other_images(_runs(a, b)) == "b and a: splits.json divides the images differently"


@pytest.mark.parametrize("file", ["config.yaml", "metrics.json", "metrics.csv", "per_class.csv"])
def test_a_damaged_file_is_named(tmp_path, file):
    a, b = _make_run(tmp_path / "a"), _make_run(tmp_path / "b")
    (b / file).write_text("x,y\n1\n")
    with pytest.raises(UserError, match=rf"'.*/b/{file}'"):
        _runs(a, b)
