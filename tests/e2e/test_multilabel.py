"""Images of any number of classes through the real command line: a table, training, evaluation and prediction."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from tests.helpers import commands

PLACES = {
    "left": (slice(2, 10), slice(2, 10)),
    "right": (slice(2, 10), slice(20, 30)),
    "low": (slice(20, 30), slice(8, 22)),
}
SMALL = ("task=multilabel", "backbone=lenet", "hardware=cpu", "dataset.image_size=32", "dataset.in_channels=1",
         "dataset.augment=null", "recipe.batch_size=8")  # fmt: skip


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """24 images with a bright square at each place that is among their labels."""
    folder = tmp_path_factory.mktemp("squares")
    random, rows = np.random.RandomState(0), []
    for number in range(24):
        pixels = random.randint(0, 40, (32, 32)).astype(np.uint8)
        labels = [name for index, name in enumerate(PLACES) if number >> index & 1]
        for name in labels:
            pixels[PLACES[name]] = 230
        Image.fromarray(pixels).save(folder / f"{number}.png")
        rows.append((f"{number}.png", ";".join(labels), "val" if number < 8 else "train"))
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("image", "label", "split"), *rows])
    return folder / "labels.csv"


@pytest.mark.slow
def test_a_network_learns_which_of_several_things_an_image_shows(cli, table, tmp_path):
    run, out = tmp_path / "run", tmp_path / "out"
    code, printed, err = cli(*SMALL, f"dataset.file={table}", "recipe.epochs=8", f"run_dir={run}")
    assert code == 0, err
    assert "3 image(s) without a label, read as having none of the classes" in printed
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["val/map"] == pytest.approx(1.0)
    assert metrics["val/subset_accuracy"] == 1.0
    assert {"plots/train_batch.png", "plots/predictions.png", "per_class.csv"} <= {
        str(path.relative_to(run)) for path in run.rglob("*")
    }
    code, printed, err = cli("predict", f"run={run}", f"source={table.parent}", f"run_dir={out}", "format=json")
    assert code == 0, err
    rows = {row["file"].rpartition("/")[2]: row["classes"] for row in json.loads(printed)["predictions"]}
    assert {name: sorted(classes) for name, classes in rows.items()} == {
        f"{number}.png": sorted(name for index, name in enumerate(PLACES) if number >> index & 1)
        for number in range(24)
    }
    code, printed, err = cli("evaluate", f"run={run}", "split=val", "format=json")
    assert code == 0, err
    assert json.loads(printed)["metrics"]["val/map"] == pytest.approx(metrics["val/map"])


def test_each_task_names_the_other_where_the_labels_are_its(cli, table, tmp_path):
    code, _, err = cli(*commands.changed(SMALL, "task=classify"), "dataset=table", f"dataset.file={table}")
    assert code == 2
    assert "but task 'classify' needs one an image. Try: task=multilabel" in err
    single = tmp_path / "single.csv"
    single.write_text("image,label\n" + "\n".join(f"{table.parent}/{n}.png,{'ab'[n % 2]}" for n in range(24)))
    code, _, err = cli(*SMALL, f"dataset.file={single}")
    assert code == 2
    assert "Try: task=classify" in err


def test_a_data_set_of_single_classes_names_those_that_fit(cli):
    code, _, err = cli("task=multilabel", "dataset=digits")
    assert code == 2
    assert "task 'multilabel' needs label sets. Data sets with label sets: table. Try: dataset=table" in err


def test_classes_that_an_image_shares_cannot_be_drawn_alike(cli, table):
    code, _, err = cli(*SMALL, f"dataset.file={table}", "dataset.balance=true")
    assert code == 2
    assert "dataset.balance: expected false, found true: an image with label sets may show several classes" in err
