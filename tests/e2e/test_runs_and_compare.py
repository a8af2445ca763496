"""The verbs that look at many runs, through the command line."""

import json
import shutil

import pytest


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
