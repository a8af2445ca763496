"""Precision over recall."""

import numpy as np
import pytest
from PIL import Image

from visionkit.report.plots.precision_recall import plot_precision_recall, precision_recall_figure


def _picture(path):
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def _has(pixels, colour):
    return int((np.abs(pixels - np.array(colour)).max(axis=-1) <= 2).sum())


def test_precision_over_recall_has_a_line_for_each_class_with_objects(tmp_path):
    recall = np.linspace(0, 1, 101)
    lines = {"a": (1 - recall**2).tolist(), "b": (1 - recall).tolist(), "never there": [None] * 101}
    plot_precision_recall(recall.tolist(), (1 - recall).tolist(), lines, tmp_path / "p" / "pr.png", title="t")
    pixels = _picture(tmp_path / "p" / "pr.png")
    assert min(_has(pixels, (0x22, 0x26, 0x2E)), _has(pixels, (0x00, 0x72, 0xB2))) > 200
    assert _has(pixels, (0x00, 0x9E, 0x73)) == 0


@pytest.mark.parametrize("classes", [0, 80])
def test_precision_over_recall_of_no_and_of_many_classes(tmp_path, classes):
    lines = {str(number): [1 - number / 80] * 2 for number in range(classes)}
    plot_precision_recall([0, 1], [0.5 if classes else None] * 2, lines, tmp_path / "p" / "pr.png", title="t")
    assert _picture(tmp_path / "p" / "pr.png").std() > 0


def test_the_legend_has_the_average_precision_of_each_class_and_of_the_mean():
    lines = {"a": [1.0, 0.5], "b": [0.5, 0.0], "never there": [None, None]}
    (axes,) = precision_recall_figure([0, 1], [0.75, 0.25], lines, title="test split: t").axes
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert names == ["a  75.0%", "b  25.0%", "mean  50.0%"]
    assert axes.get_title(loc="left") == "test split: t"


def test_many_classes_share_one_entry_of_the_legend():
    lines = {str(number): [1.0, 0.0] for number in range(80)}
    (axes,) = precision_recall_figure([0, 1], [1.0, 0.0], lines, title="t").axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["each of 80 classes", "mean  50.0%"]
