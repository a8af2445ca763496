"""Pictures: written whole, of a sensible size, for few and for many classes."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from visionkit.report.plots.confusion_matrix import plot_confusion_matrix
from visionkit.report.plots.curves import plot_curves
from visionkit.report.plots.images import plot_images, plot_predictions
from visionkit.report.plots.precision_recall import plot_precision_recall


def _picture(path):
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def _has(pixels, colour):
    return int((np.abs(pixels - np.array(colour)).max(axis=-1) <= 2).sum())


def test_curves_show_training_validation_and_the_best_epoch(tmp_path):
    rows = [
        {"epoch": e, "train/loss": 1 / e, "val/loss": 1.1 / e, "train/accuracy": 0.5 + e / 20, "val/accuracy": e / 10}
        for e in range(1, 6)
    ]
    plot_curves(rows, tmp_path / "p" / "curves.png", monitor="val/accuracy")
    pixels = _picture(tmp_path / "p" / "curves.png")
    assert pixels.shape[1] > 2 * pixels.shape[0]
    assert (
        min(_has(pixels, (0x8A, 0x94, 0xA6)), _has(pixels, (0x1F, 0x5F, 0xBF)), _has(pixels, (0xC8, 0x32, 0x1F))) > 20
    )


def test_one_epoch_and_missing_numbers_can_be_drawn(tmp_path):
    rows = [{"epoch": 1, "train/loss": 1.0, "val/accuracy": float("nan")}]
    plot_curves(rows, tmp_path / "p" / "curves.png", monitor="val/accuracy")
    assert _picture(tmp_path / "p" / "curves.png").std() > 0


def test_no_epoch_draws_nothing(tmp_path):
    plot_curves([], tmp_path / "curves.png", monitor="val/accuracy")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [2, 10, 30, 100])
def test_a_confusion_matrix_of_any_size_can_be_drawn(tmp_path, number):
    counts = np.random.default_rng(0).poisson(0.3, (number, number)) + 50 * np.eye(number, dtype=int)
    names = [f"a class with a long name {i}" for i in range(number)]
    plot_confusion_matrix(counts.tolist(), names, tmp_path / "p" / "m.png")
    assert min(_picture(tmp_path / "p" / "m.png").shape[:2]) > 250


def test_a_class_without_images_does_not_hinder_the_matrix(tmp_path):
    plot_confusion_matrix([[0, 0], [1, 2]], ["a", "b"], tmp_path / "p" / "m.png")
    assert _picture(tmp_path / "p" / "m.png").std() > 0


def test_images_are_drawn_with_the_pixels_they_have(tmp_path):
    images = np.zeros((3, 3, 20, 30), dtype=np.uint8)
    images[:, 1] = 200
    plot_images(images, [0, 1, 0], ["a", "b"], tmp_path / "p" / "i.png", title="t")
    assert _has(_picture(tmp_path / "p" / "i.png"), (0, 200, 0)) > 3 * 1000


def test_only_wrong_predictions_are_marked(tmp_path):
    images = np.zeros((2, 1, 16, 16), dtype=np.uint8)
    red = []
    for guess in (0, 1):
        path = tmp_path / str(guess) / "p.png"
        plot_predictions(images, [0, 1], [guess, 1], [0.9, 0.8], ["a", "b"], path, title="t")
        red.append(_has(_picture(path), (0xC8, 0x32, 0x1F)))
    assert red[0] == 0
    assert red[1] > 200


def test_no_global_state_of_matplotlib_is_touched():
    code = "import sys, visionkit.report.plots; print('matplotlib.pyplot' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_precision_over_recall_has_a_line_for_each_class_with_objects(tmp_path):
    recall = np.linspace(0, 1, 101)
    lines = {"a": (1 - recall**2).tolist(), "never there": [None] * 101}
    plot_precision_recall(recall.tolist(), (1 - recall).tolist(), lines, tmp_path / "p" / "pr.png", title="t")
    pixels = _picture(tmp_path / "p" / "pr.png")
    assert min(_has(pixels, (0x22, 0x26, 0x2E)), _has(pixels, (0x1F, 0x77, 0xB4))) > 200
    assert _has(pixels, (0xFF, 0x7F, 0x0E)) == 0


@pytest.mark.parametrize("classes", [0, 80])
def test_precision_over_recall_of_no_and_of_many_classes(tmp_path, classes):
    lines = {str(number): [1 - number / 80] * 2 for number in range(classes)}
    plot_precision_recall([0, 1], [0.5 if classes else None] * 2, lines, tmp_path / "p" / "pr.png", title="t")
    assert _picture(tmp_path / "p" / "pr.png").std() > 0
