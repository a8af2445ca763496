"""Masks as files, and laid over images."""

import numpy as np
import pytest
from PIL import Image, ImageColor

from visionkit.report.masks import mask_colours, mask_legend, plot_masks, write_mask, write_overlay

NAMES = ("background", "cat", "dog")


def _picture(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def _mask(height, width):
    mask = np.zeros((height, width), np.uint8)
    mask[: height // 2, : width // 2] = 1
    mask[height // 2 :, width // 2 :] = 2
    mask[:, -1] = 255
    return mask


def test_a_mask_file_holds_the_ids_and_shows_their_colours(tmp_path):
    write_mask(_mask(30, 40), dict(enumerate(mask_colours(NAMES))), tmp_path / "new" / "m.png")
    with Image.open(tmp_path / "new" / "m.png") as image:
        assert (image.mode, image.size) == ("P", (40, 30))
        assert np.array_equal(np.asarray(image), _mask(30, 40))
    pixels = _picture(tmp_path / "new" / "m.png")
    assert pixels[0, 0].tolist() == list(ImageColor.getrgb(mask_colours(NAMES)[1]))
    assert pixels[29, 0].tolist() == [0, 0, 0]
    assert pixels[0, 39].tolist() == [255, 255, 255]


def test_classes_tint_the_image_and_background_and_ignored_pixels_do_not(tmp_path):
    write_overlay(np.full((3, 400, 300), 90, np.uint8), _mask(400, 300), NAMES, tmp_path / "o.png")
    pixels = _picture(tmp_path / "o.png")
    assert pixels.shape[0] > 400  # a legend lies below
    assert pixels.shape[1:] == (300, 3)
    for place, number in (((0, 0), 1), ((399, 200), 2)):
        colour = np.array(ImageColor.getrgb(mask_colours(NAMES)[number]))
        assert pixels[place].tolist() == pytest.approx(0.4 * (128 - 0.7 * 38) + 0.6 * colour, abs=1)
    assert pixels[399, 0].tolist() == pixels[0, 299].tolist() == [90, 90, 90]


def test_a_tiny_grey_image_is_enlarged_by_a_whole_factor(tmp_path):
    write_overlay(np.full((1, 10, 30), 7, np.uint8), np.zeros((10, 30), np.uint8), NAMES, tmp_path / "o.png")
    assert _picture(tmp_path / "o.png").shape == (140, 420, 3)


def test_jpeg_files_stay_jpeg_files(tmp_path):
    write_overlay(np.zeros((3, 10, 10), np.uint8), np.zeros((10, 10), np.uint8), NAMES, tmp_path / "a.JPG")
    with Image.open(tmp_path / "a.JPG") as image:
        assert image.format == "JPEG"


def test_the_sheet_names_the_classes_that_occur(tmp_path):
    """The legend's height grows by the words in it; images of any size take their places."""
    image = np.full((3, 100, 50), 90, np.uint8)
    heights = []
    for names, mask in ((NAMES, np.full((100, 50), 255, np.uint8)), (NAMES, _mask(100, 50))):
        plot_masks([(image, None), (image, mask)], names, tmp_path / "s.png", title="t", headings=("image", "truth"))
        heights.append(_picture(tmp_path / "s.png").shape[0])
    assert heights[1] == heights[0] + 22
    assert mask_legend([_mask(100, 50), np.full((1, 1), 2)], NAMES) == [
        ("cat", mask_colours(NAMES)[1]), ("dog", mask_colours(NAMES)[2]),
    ]  # fmt: skip
    many = [f"a class with a long name {number}" for number in range(12)]
    plot_masks([(image, np.arange(5000, dtype=np.uint8).reshape(100, 50) % 12)], many, tmp_path / "s.png", title="t")
    assert _picture(tmp_path / "s.png").shape[0] >= 34 + 320 + 8 + 6 * 22


def test_classes_have_colours_of_their_own_and_background_is_black():
    colours = mask_colours(["background", *map(str, range(80))])
    assert colours[0] == "#000000"
    assert len(set(colours)) == 81
