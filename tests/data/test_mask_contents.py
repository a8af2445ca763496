import numpy
import pytest
from PIL import Image

from visionkit.data.mask_contents import ValueCounts, read_contents

GREYS = numpy.array([[0, 1, 2], [200, 2, 2]], dtype=numpy.uint8)


def test_values_of_several_masks_are_counted_together():
    first = ValueCounts(numpy.array([0, 255]), numpy.array([5, 1]), numpy.array([3, 0]))
    second = ValueCounts(numpy.array([7, 255]), numpy.array([2, 3]), numpy.array([1, 2]))
    merged = ValueCounts.merge([first, second])
    assert (merged.values.tolist(), merged.pixels.tolist()) == ([0, 7, 255], [5, 2, 4])
    assert merged.solid.tolist() == [3, 1, 2]
    assert merged.without({255, 9}).values.tolist() == [0, 7]


@pytest.mark.parametrize("high", [200, 60_000, 1 << 20])
def test_pixels_and_those_within_areas_are_those_of_a_count_one_by_one(high):
    mask = numpy.random.RandomState(0).choice([0, 7, high], (9, 12), p=[0.8, 0.1, 0.1])
    mask = mask.astype(numpy.uint8 if high < 256 else numpy.uint16 if high < 1 << 16 else numpy.int32)
    counts = ValueCounts.of(mask)
    assert counts.values.tolist() == [0, 7, high]
    for value, pixels, solid in zip(counts.values, counts.pixels, counts.solid, strict=True):
        same = mask == value
        assert pixels == same.sum()
        assert solid == (same[:-1, :-1] & same[:-1, 1:] & same[1:, :-1]).sum()


def test_the_pixels_of_each_value_are_counted(tmp_path):
    Image.fromarray(GREYS).save(tmp_path / "a.png")
    contents = read_contents(tmp_path / "a.png", coloured=False)
    assert (contents.size, contents.is_coloured, contents.is_lossy, contents.palette) == ((2, 3), False, False, None)
    assert contents.counts.values.tolist() == [0, 1, 2, 200]
    assert contents.counts.pixels.tolist() == [1, 1, 3, 1]


def test_the_colours_of_the_ids_that_occur_are_those_of_the_palette(tmp_path):
    image = Image.fromarray(GREYS % 3).convert("P")
    image.putdata((GREYS % 3).ravel().tolist())
    image.putpalette([0, 0, 0, 255, 0, 0, 0, 0, 255])
    image.save(tmp_path / "a.png")
    contents = read_contents(tmp_path / "a.png", coloured=False)
    assert contents.palette.tolist() == [0, 0xFF0000, 0x0000FF]


@pytest.mark.parametrize(("name", "options"), [("a.jpg", {}), ("a.tif", {"compression": "jpeg"})])
def test_jpeg_is_a_form_that_changes_values(tmp_path, name, options):
    Image.fromarray(GREYS).save(tmp_path / name, **options)
    assert read_contents(tmp_path / name, coloured=False).is_lossy
