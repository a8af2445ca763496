"""Boxes on images: where they belong, in their colour, legible on images of any size."""

import numpy as np
import pytest
import torch
from PIL import Image

from visionkit.report.boxes import DrawnBox, place_labels, plot_boxes, write_boxes
from visionkit.structures.rle import encode_masks

RED = "#c8321f"


def _picture(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def _coloured(pixels, colour=(0xC8, 0x32, 0x1F)):
    """Rows and columns of the pixels that have a colour."""
    return np.nonzero(np.abs(pixels - np.array(colour)).max(axis=-1) <= 2)


def test_a_box_lies_where_its_pixels_are(tmp_path):
    write_boxes(np.zeros((3, 400, 600), np.uint8), [DrawnBox((100, 50, 300, 250), "", RED)], tmp_path / "a.png")
    pixels = _picture(tmp_path / "a.png")
    assert pixels.shape == (400, 600, 3)
    rows, columns = _coloured(pixels)
    assert (columns.min(), rows.min(), columns.max(), rows.max()) == (100, 50, 299, 249)
    assert pixels[150, 200].tolist() == [0, 0, 0]


def test_a_tiny_grey_image_is_enlarged_by_a_whole_factor_with_its_boxes(tmp_path):
    write_boxes(np.full((1, 28, 20), 7, np.uint8), [DrawnBox((10, 4, 14, 9), "", RED)], tmp_path / "a.png")
    pixels = _picture(tmp_path / "a.png")
    assert pixels.shape == (28 * 15, 20 * 15, 3)
    rows, columns = _coloured(pixels)
    assert (columns.min(), rows.min(), columns.max(), rows.max()) == (150, 60, 209, 134)


@pytest.mark.parametrize("box", [(200, 0, 395, 60), (0, 380, 20, 400), (395, 395, 400, 400), (50, 50, 50, 50)])
def test_text_stays_within_the_image(tmp_path, box):
    image = np.zeros((3, 400, 400), np.uint8)
    write_boxes(image, [DrawnBox(box, "", RED)], tmp_path / "without.png")
    write_boxes(image, [DrawnBox(box, "a class name 98%", RED)], tmp_path / "with.png")
    plate = _coloured(_picture(tmp_path / "with.png"))[0]
    assert len(plate) > len(_coloured(_picture(tmp_path / "without.png"))[0]) + 400
    assert len(np.nonzero(_picture(tmp_path / "with.png").min(axis=-1) > 200)[0]) > 100  # white letters


def test_a_mask_tints_its_pixels_and_no_others(tmp_path):
    bits = torch.zeros(1, 40, 60, dtype=torch.bool)
    bits[0, 10:20, 30:50] = True
    mark = DrawnBox((30, 10, 50, 20), "", RED, encode_masks(bits)[0])
    write_boxes(np.full((3, 40, 60), 100, np.uint8), [mark], tmp_path / "a.png")
    pixels = _picture(tmp_path / "a.png")
    factor = pixels.shape[0] // 40
    tinted = np.nonzero(pixels[..., 0] > 120)
    assert [(axis.min(), axis.max() + 1) for axis in tinted] == [(10 * factor, 20 * factor), (30 * factor, 50 * factor)]
    assert pixels[15 * factor, 40 * factor].tolist() == pytest.approx([143, 78, 70], abs=2)  # 110 of 255 red


def test_jpeg_files_stay_jpeg_files(tmp_path):
    write_boxes(np.zeros((3, 10, 10), np.uint8), [], tmp_path / "new" / "a.JPG")
    with Image.open(tmp_path / "new" / "a.JPG") as image:
        assert image.format == "JPEG"


def test_a_sheet_holds_images_of_any_sizes_in_rows(tmp_path):
    panels = [(np.full((3, *size), 90, np.uint8), [DrawnBox((0, 0, size[1], size[0]), "x", RED)]) for size in
              [(100, 50), (50, 100), (30, 30), (800, 1000), (64, 64)]]  # fmt: skip
    plot_boxes(panels, tmp_path / "sheet.png", title="five", columns=2, headings=("left", "right"))
    pixels = _picture(tmp_path / "sheet.png")
    assert pixels.shape[1] == 8 + 2 * 328
    assert len(_coloured(pixels, (90, 90, 90))[0]) > 5 * 160 * 160
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.png"]


def test_a_label_that_would_hide_an_earlier_one_takes_another_corner():
    boxes = [DrawnBox((10, 50, 90, 90), "first", RED), DrawnBox((12, 52, 90, 90), "second", RED)]
    boxes += [DrawnBox((10, 150, 90, 190), "third", RED), DrawnBox((10, 250, 90, 290), "", RED)]
    labels = place_labels(boxes, 2.0, (400, 600), 12)
    assert [label.text for label in labels] == ["first", "second", "third"]
    assert labels[0].edges[:2] == (20, 100 - 15)
    assert labels[1].edges[1::2] == (104 - 15, 104)  # above its own box too, at the right end
    assert labels[1].edges[2] == 180


def test_no_label_covers_another_or_leaves_the_picture_and_one_without_room_is_left_out():
    boxes = [DrawnBox((10 + i % 3, 10, 60, 60), f"box {i}", RED) for i in range(40)]
    labels = place_labels(boxes, 1.0, (100, 100), 11)
    assert 4 <= len(labels) < 40
    for number, label in enumerate(labels):
        left, top, right, bottom = label.edges
        assert min(left, top) >= 0
        assert max(right, bottom) <= 100
        for other in labels[:number]:
            x1, y1, x2, y2 = other.edges
            assert right <= x1 or x2 <= left or bottom <= y1 or y2 <= top


def test_mistakes_are_dashed_and_not_marked_by_colour_alone(tmp_path):
    counts = []
    for dashed in (False, True):
        box = DrawnBox((100, 100, 300, 300), "", RED, dashed=dashed)
        write_boxes(np.zeros((3, 400, 400), np.uint8), [box], tmp_path / "a.png")
        pixels = _picture(tmp_path / "a.png")
        counts.append((len(_coloured(pixels)[0]), len(_coloured(pixels, (255, 255, 255))[0])))
    (solid, no_white), (coloured, white) = counts
    assert no_white == 0
    assert coloured + white == solid
    assert 0.3 * solid < white < 0.6 * solid


def test_the_strip_below_an_image_leaves_its_pixels_where_they_are(tmp_path):
    image = np.full((3, 300, 400), 90, np.uint8)
    write_boxes(image, [], tmp_path / "a.png", caption="no boxes", legend=[("cat", RED)])
    pixels = _picture(tmp_path / "a.png")
    assert pixels.shape[0] > 300
    assert pixels[:300].min() == pixels[:300].max() == 90
    assert len(_coloured(pixels[300:])[0]) > 50
