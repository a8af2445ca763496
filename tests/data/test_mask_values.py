import numpy
import pytest
from PIL import Image

from visionkit.data.mask_values import read_mask
from visionkit.errors import UserError

GREYS = numpy.array([[0, 1, 2], [200, 2, 2]], dtype=numpy.uint8)


def test_the_inks_of_a_grey_file_are_no_ids(tmp_path):
    Image.merge("CMYK", [*[Image.fromarray(255 - GREYS)] * 3, Image.fromarray(GREYS * 0)]).save(tmp_path / "a.tif")
    assert numpy.array_equal(read_mask(tmp_path / "a.tif", coloured=False), GREYS)


@pytest.mark.parametrize("dtype", [numpy.int32, numpy.float32])
def test_whole_numbers_of_wide_types_are_ids(tmp_path, dtype):
    Image.fromarray(GREYS.astype(dtype)).save(tmp_path / "a.tif")
    assert numpy.array_equal(read_mask(tmp_path / "a.tif", coloured=False), GREYS)
    assert read_mask(tmp_path / "a.tif", coloured=True)[1, 0] == 0xC8C8C8


@pytest.mark.parametrize("value", [0.5, -1, float("nan"), 65_536])
def test_fractions_and_numbers_out_of_range_are_an_error(tmp_path, value):
    pixels = GREYS.astype(numpy.float32)
    pixels[0, 0] = value
    Image.fromarray(pixels).save(tmp_path / "a.tif")
    with pytest.raises(UserError, match=rf"a.tif' holds the value {value}.*. Expected whole numbers from 0 to 65,535"):
        read_mask(tmp_path / "a.tif", coloured=False)


def test_a_mask_that_is_a_script_starts_no_program(tmp_path):
    (tmp_path / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n%%EndComments\n")
    with pytest.raises(UserError, match=r"a.png' cannot be read: cannot identify image file"):
        read_mask(tmp_path / "a.png", coloured=False)


def exif(orientation: int) -> Image.Exif:
    content = Image.Exif()
    content[0x0112] = orientation
    return content


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize(("orientation", "turns"), [(1, 0), (3, 2), (6, 3), (8, 1)])
def test_a_mask_is_turned_by_its_own_orientation_as_images_are(tmp_path, suffix, orientation, turns):
    Image.fromarray(GREYS).save(tmp_path / f"a.{suffix}", exif=exif(orientation))
    assert numpy.array_equal(read_mask(tmp_path / f"a.{suffix}", coloured=False), numpy.rot90(GREYS, turns))


def test_an_empty_file_is_said_in_plain_words(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(UserError, match=r"a.png' cannot be read: it is empty, a file of 0 bytes"):
        read_mask(tmp_path / "a.png", coloured=False)
