"""Images that are not square, through training, evaluation and prediction of every task."""

import csv
import json

import pytest


@pytest.fixture
def several_labels(photos, in_empty_folder):
    """A table of the photos, each with one label or two."""
    with (in_empty_folder / "labels.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "label"])
        for number, path in enumerate(sorted(photos.rglob("*.png"))):
            writer.writerow([path.relative_to(photos), f"{path.parent.name};grey" if number % 2 else path.parent.name])
    return ["dataset=table", "dataset.file=labels.csv", f"dataset.root={photos}"]


@pytest.mark.slow
@pytest.mark.parametrize("task", ["classify", "multilabel", "detect", "segment", "instance"])
def test_every_task_learns_and_predicts_from_images_of_height_and_width(cli, request, in_empty_folder, photos, task):
    data = request.getfixturevalue("several_labels") if task == "multilabel" else []
    words = (f"task={task}", "dataset.image_size=[64,96]", "debug=fast", "hardware=cpu", "run_dir=a", *data)
    code, _, err = cli(*words)
    assert (code, err) == (0, "")
    assert json.loads((in_empty_folder / "a" / "data.json").read_text())["image_size"] == [64, 96]
    measured = json.loads((in_empty_folder / "a" / "metrics.json").read_text())
    code, out, _ = cli("evaluate", "run=a", "format=json")
    assert code == 0
    assert json.loads(out)["metrics"]["test/loss"] == pytest.approx(measured["test/loss"], rel=1e-5)
    code, out, _ = cli("predict", "run=a", f"source={photos / 'test' / 'cat'}", "format=json")
    assert code == 0
    for row in json.loads(out)["predictions"]:
        if "bbox" in row:  # in the pixels of a photo of 32x32
            left, top, width, height = row["bbox"]
            assert 0 <= left <= left + width <= 32.001
            assert 0 <= top <= top + height <= 32.001
