"""The confusion matrix, for few and for many classes."""

import numpy as np
import pytest
from PIL import Image

from visionkit.report.plots.confusion_matrix import confusion_matrix_figure, plot_confusion_matrix


def _picture(path):
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


@pytest.mark.parametrize("number", [2, 10, 30, 100])
def test_a_confusion_matrix_of_any_size_can_be_drawn(tmp_path, number):
    counts = np.random.default_rng(0).poisson(0.3, (number, number)) + 50 * np.eye(number, dtype=int)
    names = [f"a class with a long name {i}" for i in range(number)]
    plot_confusion_matrix(counts.tolist(), names, tmp_path / "p" / "m.png", split="test")
    assert min(_picture(tmp_path / "p" / "m.png").shape[:2]) > 250


def test_a_class_without_images_does_not_hinder_the_matrix(tmp_path):
    plot_confusion_matrix([[0, 0], [1, 2]], ["a", "b"], tmp_path / "p" / "m.png", split="test")
    assert _picture(tmp_path / "p" / "m.png").std() > 0


def test_the_title_names_the_split_and_cells_hold_the_counts():
    (axes,) = confusion_matrix_figure([[3, 1], [0, 1234]], ["a", "b"], split="val", unit="images").axes
    assert axes.get_title(loc="left") == "val split: 1,238 images, 99.92% correct"
    assert [text.get_text() for text in axes.texts] == ["3", "1", "1,234"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted; darker: more of the true class", "true")


def test_one_class_and_a_thousand():
    (axes,) = confusion_matrix_figure([[7]], ["only"], split="test", unit="images").axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["only"]
    counts = np.eye(1000, dtype=int)
    counts[3, 999] = 2
    axes, names, _ = confusion_matrix_figure(counts, list(map(str, range(1000))), split="test", unit="images").axes
    assert len(axes.get_xticks()) == 100
    assert [text.get_text() for text in names.texts] == ["3 \u2192 999   2 (67%)"]
