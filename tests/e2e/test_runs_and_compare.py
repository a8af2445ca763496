"""The verbs that look at many runs, through the command line."""

import json
import shutil

import pytest

from tests.helpers.commands import run as run_process


@pytest.fixture
def run(shared_runs, in_empty_folder):
    """A copy of a finished classification below ``runs``, with its path."""
    return shutil.copytree(shared_runs.of("classify"), in_empty_folder / "runs" / "classify-lenet-digits" / "one")


def test_runs_lists_the_runs_of_this_folder(cli, run):
    code, out, err = cli("runs")
    accuracy = json.loads((run / "metrics.json").read_text())["test/accuracy"]
    assert (code, err) == (0, "")
    for text in ("1 run", "runs/classify-lenet-digits/one", "lenet", "digits", f"test/accuracy {accuracy:.4f}", "done"):
        assert text in out


def test_runs_prints_one_json_document(cli, run):
    (run.parent / "two").mkdir()
    (run.parent / "two" / "config.yaml").write_text("format_version: 4\n")
    code, out, _ = cli("runs", "format=json", "task=classify")
    document = json.loads(out)
    assert (code, document["root"]) == (0, "runs")
    damaged, done = document["runs"]
    assert (damaged["state"], done["state"]) == ("damaged", "done")
    assert done["headline"]["name"] == "test/accuracy"
    assert damaged["path"] == "runs/classify-lenet-digits/two"


def test_a_damaged_run_is_named_below_the_list(cli, run):
    (run / "metrics.json").write_text("{")
    code, out, err = cli("runs")
    assert (code, err) == (0, "")
    assert "runs/classify-lenet-digits/one is damaged: 'runs/classify-lenet-digits/one/metrics.json' is no JSON" in out


def test_no_runs_say_how_to_make_one(cli, in_empty_folder):
    code, out, _ = cli("runs", "task=detect")
    assert code == 0
    assert out == "There is no run of task detect below 'runs'. Train one: python -m visionkit train task=detect\n"
    assert json.loads(cli("runs", "format=json")[1]) == {"root": "runs", "runs": []}


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("root=rums", "root: 'rums' is not there. Did you mean 'runs'?"),
        ("task=detec", "task: found 'detec'. Did you mean 'detect'?"),
    ],
)
def test_wrong_options_of_runs_name_the_nearest(cli, run, word, message):
    code, out, err = cli("runs", word)
    assert (code, out) == (2, "")
    assert message in err


@pytest.fixture
def pair(run):
    """Two runs that differ in seed and learning rate, and a third that is not finished."""
    other = shutil.copytree(run, run.parent / "two")
    text = (other / "config.yaml").read_text()
    (other / "config.yaml").write_text(text.replace("  lr: 0.05", "  lr: 0.01").replace("\nseed: 0", "\nseed: 7"))
    unfinished = shutil.copytree(run, run.parents[1] / "unfinished")
    (unfinished / "metrics.json").unlink()
    return run, other, unfinished


def test_compare_shows_metrics_with_intervals_verdict_settings_and_curves(cli, pair):
    code, out, err = cli("compare", "run=runs/classify-lenet-digits", "out=pictures/curves.png")
    metrics = json.loads((pair[0] / "metrics.json").read_text())
    assert (code, err) == (0, "")
    values = [metrics[f"test/accuracy{end}"] for end in ("", "_low", "_high")]
    assert "{:.4f} ({:.4f} to {:.4f})".format(*values) in out
    lines = [line.split() for line in out.splitlines()]
    assert ["two", "+0.0000", "1.000", "no", "(p", ">=", "0.05)"] in lines
    assert ["recipe.lr", "0.05", "0.01"] in lines
    assert ["seed", "0", "7"] in lines
    assert ["parameters", "61,706", "61,706"] in lines
    assert "unpaired" in out
    assert "Curves: pictures/curves.png" in out
    assert (pair[0].parents[2] / "pictures" / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_compare_prints_one_json_document_and_says_which_run_is_not_finished(cli, pair):
    words = ",".join(
        f"runs/{name}" for name in ("classify-lenet-digits/one", "classify-lenet-digits/two", "unfinished")
    )
    code, out, err = cli("compare", f"run={words}", "format=json")
    document = json.loads(out)
    assert (code, err) == (0, "")
    assert [run["state"] for run in document["runs"]] == ["done", "done", "unfinished"]
    assert [run["parameters"] for run in document["runs"]] == [61_706, 61_706, None]
    (difference,) = document["differences"]
    assert (difference["test"], difference["p_value"], difference["more_than_chance"]) == ("two proportions", 1, False)
    assert (document["paired"], document["same_test_images"], document["curves"]) == (False, True, None)
    assert set(document["settings"]) == {"recipe.lr", "seed"}
    assert "unfinished is not finished: it has 6 epochs and was not tested" in document["notes"][0]


def test_other_test_images_are_said(cli, pair):
    text = (pair[1] / "config.yaml").read_text()
    (pair[1] / "config.yaml").write_text(text.replace("split_seed: 0", "split_seed: 3"))
    _, out, _ = cli("compare", "run=runs/classify-lenet-digits")
    assert "were not tested on the same images (two and one: dataset.split_seed differs)" in out
    assert "add out=curves.png" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "compare needs runs: run=A,B"),
        (["run=runs/unfinished"], "found 1 run in run=runs/unfinished, expected two or more"),
        (["run=runs/classify-lenet-digits,runs/classify-lenet-digits/one"], "is named twice"),
        (["run=runs/unfinishd,latest"], "Did you mean 'runs/unfinished'?"),
        (["run=runs", "out=curves.jpg"], "out: found 'curves.jpg', expected a PNG file. Try: out=curves.png"),
        (["run=runs", "out=runs/unfinished/config.yaml/c.png"], "is a file"),
    ],
)
def test_what_does_not_compare_is_answered_with_what_to_type(cli, pair, words, message):
    code, out, err = cli("compare", *words)
    assert (code, out) == (2, "")
    assert message in err


def test_runs_of_different_tasks_do_not_compare(cli, pair):
    text = (pair[1] / "config.yaml").read_text()
    (pair[1] / "config.yaml").write_text(text.replace("  name: classify", "  name: detect"))
    code, _, err = cli("compare", "run=runs/classify-lenet-digits")
    assert (code, "has task classify, and" in err, "runs task=classify" in err) == (2, True, True)


def test_runs_and_compare_load_neither_torch_nor_hydra(pair):
    words = ["runs"], ["compare", "run=runs/classify-lenet-digits", "out=c.png"]
    code = f"""
import sys
from visionkit.cli.main import main
for words in {words!r}:
    assert main(words) == 0
print(sorted({{"torch", "hydra", "omegaconf", "lightning", "torchvision"}} & set(sys.modules)), file=sys.stderr)
"""
    folder = pair[0].parents[2]
    (folder / "both.py").write_text(code)
    code, _, err = run_process(folder, "-m", "both")
    assert (code, err.strip()) == (0, "[]")


@pytest.mark.slow
@pytest.mark.parametrize("task", ["classify", "detect", "segment", "instance"])
def test_runs_of_each_task_are_listed_and_compared(cli, shared_runs, in_empty_folder, task):
    run = shutil.copytree(shared_runs.of(task), in_empty_folder / "runs" / "a")
    metrics = json.loads((run / "metrics.json").read_text())
    other = shutil.copytree(run, run.parent / "b")
    main = json.loads(cli("runs", "format=json")[1])["runs"][0]["headline"]
    assert main["value"] == metrics[main["name"]]
    ends = [metrics[f"{main['name']}_{end}"] for end in ("low", "high")]
    assert [main["low"], main["high"]] == ends
    metrics |= {main["name"]: 0.0, f"{main['name']}_low": 0.0, f"{main['name']}_high": 0.001}
    (other / "metrics.json").write_text(json.dumps(metrics))
    code, out, _ = cli("compare", "run=runs/a,runs/b", "format=json", "out=c.png")
    document = json.loads(out)
    (difference,) = document["differences"]
    assert (code, difference["metric"], difference["difference"]) == (0, main["name"], -main["value"])
    assert (difference["test"], document["same_test_images"]) == ("intervals", True)
    assert difference["more_than_chance"] == (difference["p_value"] < 0.05)
    assert (in_empty_folder / "c.png").is_file()
