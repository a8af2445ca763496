"""Images with captions."""

import numpy as np
from PIL import Image

from visionkit.report.plots.images import plot_images, plot_predictions


def _picture(path):
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def _has(pixels, colour):
    return int((np.abs(pixels - np.array(colour)).max(axis=-1) <= 2).sum())


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
