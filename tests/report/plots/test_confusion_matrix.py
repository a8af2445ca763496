"""The confusion matrix, for few and for many classes."""

import numpy as np
import pytest
from PIL import Image

from visionkit.report.plots.confusion_matrix import plot_confusion_matrix


def _picture(path):
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


@pytest.mark.parametrize("number", [2, 10, 30, 100])
def test_a_confusion_matrix_of_any_size_can_be_drawn(tmp_path, number):
    counts = np.random.default_rng(0).poisson(0.3, (number, number)) + 50 * np.eye(number, dtype=int)
    names = [f"a class with a long name {i}" for i in range(number)]
    plot_confusion_matrix(counts.tolist(), names, tmp_path / "p" / "m.png")
    assert min(_picture(tmp_path / "p" / "m.png").shape[:2]) > 250


def test_a_class_without_images_does_not_hinder_the_matrix(tmp_path):
    plot_confusion_matrix([[0, 0], [1, 2]], ["a", "b"], tmp_path / "p" / "m.png")
    assert _picture(tmp_path / "p" / "m.png").std() > 0
