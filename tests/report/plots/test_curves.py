"""Curves over the epochs."""

import numpy as np
from PIL import Image

from visionkit.report.plots.curves import plot_curves


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
