"""Images with captions."""

import numpy as np
import pytest
from PIL import Image

from visionkit.report.image_grid import panel_scale
from visionkit.report.images import plot_captioned


def _picture(path):
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def _has(pixels, colour):
    return int((np.abs(pixels - np.array(colour)).max(axis=-1) <= 2).sum())


def test_images_are_drawn_with_the_pixels_they_have(tmp_path):
    images = np.zeros((3, 3, 20, 30), dtype=np.uint8)
    images[:, 1] = 200
    plot_captioned(images, ["a", "b", "a"], tmp_path / "p" / "i.png", title="t")
    assert _has(_picture(tmp_path / "p" / "i.png"), (0, 200, 0)) == 3 * 100 * 150


def test_only_wrong_predictions_are_framed(tmp_path):
    images = np.zeros((2, 1, 16, 16), dtype=np.uint8)
    red = []
    for is_wrong in (False, True):
        path = tmp_path / str(is_wrong) / "p.png"
        plot_captioned(images, ["", ""], path, title="t", wrong=[is_wrong, False])
        red.append(_has(_picture(path), (0xC8, 0x32, 0x1F)))
    assert red == [0, 150**2 - 142**2]


@pytest.mark.parametrize(
    ("size", "panel"),
    [((28, 28), (320, 320)), ((480, 640), (240, 320)), ((50, 900), (53, 960)), ((900, 50), (960, 53))],
)
def test_long_images_have_larger_panels(size, panel):
    scale = panel_scale(*size)
    assert (round(size[0] * scale), round(size[1] * scale)) == panel


def test_long_captions_do_not_run_into_each_other(tmp_path):
    """Beside an image of 10 pixels' width stands one whose caption has 18 letters."""
    images = np.zeros((8, 3, 200, 10), dtype=np.uint8)
    for letters in (1, 18):
        plot_captioned(images, ["m" * letters] * 8, tmp_path / str(letters) / "i.png", title="t")
    narrow, wide = (_picture(tmp_path / str(letters) / "i.png").shape[1] for letters in (1, 18))
    assert wide >= 8 * 18 * 12 > narrow
