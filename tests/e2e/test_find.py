"""The verb ``find`` through the command line."""

import json
import signal
import time

import pytest
from PIL import Image

from tests.helpers import commands


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "find: nothing is named. Expected lr, the learning rate, or batch, the size of a batch"),
        (["size"], "find: found 'size'. Expected lr"),
        (["ln"], "find: found 'ln'. Did you mean 'lr'? Expected lr"),
        (["backbone=lenet"], "find: nothing is named"),
        (["lr", "steps=3"], "steps: expected a number from 20 to 100000, found 3"),
        (["lr", "low=1", "high=2"], "low, high: found 1 and 2. Expected a range of a factor of 10"),
        (["lr", "low=0"], "low: expected a number"),
        (["lr", "largest=8"], "largest: find lr has no such option, it is one of find batch"),
        (["batch", "out=a.png"], "out: find batch has no such option, it is one of find lr"),
        (["lr", "out=a.jpg"], "out: found 'a.jpg', expected a PNG file. Try: out=a.png"),
        (["lr", "resume=true"], "'resume' is a key of train alone"),
        (["lr", "recipe.lr=0"], "recipe.lr: expected a number"),
        (["lr", "run=nothere"], "run: 'nothere' is no run folder"),
        (["lr", "dataset=folder", "dataset.root=nothere"], "nothere"),
        (["lr", "-m", "seed=0,1"], "find takes neither -m nor sweep"),
        (["batch", "batch"], "'batch' has no value. Settings are given as key=value: recipe.batch_size=VALUE"),
    ],
)
def test_wrong_words_are_told_and_nothing_is_written(cli, in_empty_folder, words, message):
    code, out, err = cli("find", *words)
    assert (code, out, message in err) == (2, "", True), err
    assert list(in_empty_folder.iterdir()) == []


@pytest.mark.parametrize("subject", ["lr", "batch"])
def test_a_data_set_without_training_images_is_told(cli, in_empty_folder, subject):
    for name in ("cat", "dog"):
        folder = in_empty_folder / "photos" / "test" / name
        folder.mkdir(parents=True)
        Image.new("RGB", (32, 32), "red" if name == "cat" else "blue").save(folder / "1.png")
    code, out, err = cli("find", subject, "dataset=folder", "dataset.root=photos", "dataset.image_size=32")
    assert (code, out, "'photos' has test but no 'train' folder" in err) == (2, "", True), err


RATE = ("find", "lr", "backbone=lenet", "hardware=cpu", "low=1e-4", "steps=25")


def test_a_rate_is_printed_drawn_and_written_where_it_is_said(cli, in_empty_folder):
    code, out, err = cli(*RATE, "out=curves/lr.png")
    assert code == 0, err
    document = json.loads((in_empty_folder / "curves/lr.json").read_text())
    assert document["word"] == f"recipe.lr={document['suggestion']:g}"
    assert out.splitlines()[-2].startswith(f"{document['word']}   (")
    assert sorted(str(file.relative_to(in_empty_folder)) for file in in_empty_folder.rglob("*")) == [
        "curves", "curves/lr.json", "curves/lr.png",
    ]  # fmt: skip
    code, _, err = cli(*RATE, "out=curves/lr.png")
    assert (code, "is there already" in err) == (2, True)


@pytest.mark.slow
def test_standard_output_is_one_document_and_without_out_nothing_is_written(cli, in_empty_folder):
    code, out, err = cli(*RATE, "format=json")
    assert code == 0, err
    assert json.loads(out)["picture"] is None
    assert "range" in err
    code, out, _ = cli(*RATE)
    assert (code, out.splitlines()[-1].endswith("add out=lr.png")) == (0, True)
    assert list(in_empty_folder.iterdir()) == []


def test_a_batch_is_printed_as_a_table_and_a_word_that_train_takes(cli, in_empty_folder):
    code, out, err = cli("find", "batch", "backbone=lenet", "hardware=cpu", "largest=4", "seconds=0.001")
    assert code == 0, err
    rows = [line.split() for line in out.splitlines() if line.split()[:1] in (["1"], ["2"], ["4"])]
    assert [row[0] for row in rows] == ["1", "2", "4"]
    word = next(line for line in out.splitlines() if line.startswith("recipe.batch_size=")).split()[0]
    assert list(in_empty_folder.iterdir()) == []
    code, out, _ = cli("config", "backbone=lenet", word)
    assert code == 0
    assert f"batch_size: {word.partition('=')[2]} " in out


def test_the_words_behind_the_verb_are_completed():
    from visionkit.cli.completion import candidates

    assert {"lr", "batch", "steps="} <= set(candidates("visionkit find ", {}))
    assert candidates("visionkit find b", {}) == ["batch"]
    assert "lr" not in candidates("visionkit find lr ", {})
    assert "lr" not in candidates("visionkit ", {})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "number", "code"),
    [(("lr", "steps=100000", "high=1e-5"), signal.SIGINT, 130), (("batch", "seconds=600"), signal.SIGTERM, 143)],
    ids=["lr", "batch"],
)
def test_a_signal_ends_a_finder_in_one_line(tmp_path, words, number, code):
    process = commands.start(tmp_path, "find", *words, "backbone=lenet", "hardware=cpu", PYTHONUNBUFFERED="1")
    line = ""
    while not line.startswith("device"):
        line = process.stdout.readline()
    time.sleep(1.5)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    word = {130: "interrupted", 143: "terminated"}[code]
    assert (process.returncode, err) == (code, f"visionkit: {word}\n")
    assert list(tmp_path.iterdir()) == []
    assert commands.still_running(tmp_path) == []
