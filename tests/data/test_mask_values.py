import numpy
import pytest
from PIL import Image, ImageOps

from visionkit.data.image_error import ImageError
from visionkit.data.mask_values import open_mask, read_mask
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
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_mask_is_turned_by_its_own_orientation_as_images_are(tmp_path, suffix, orientation):
    Image.fromarray(GREYS).save(tmp_path / "a.png", exif=exif(orientation))
    upright = numpy.asarray(ImageOps.exif_transpose(Image.open(tmp_path / "a.png")))
    Image.fromarray(GREYS).save(tmp_path / f"a.{suffix}", exif=exif(orientation))
    assert numpy.array_equal(read_mask(tmp_path / f"a.{suffix}", coloured=False), upright)


def test_an_empty_file_is_said_in_plain_words(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(UserError, match=r"a.png' cannot be read: it is empty, a file of 0 bytes"):
        read_mask(tmp_path / "a.png", coloured=False)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_a_mask_of_more_pixels_than_the_limit_of_pillow_is_read_where_it_is_allowed(tmp_path, monkeypatch, suffix):
    Image.fromarray(GREYS).save(tmp_path / f"a.{suffix}")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2)
    assert numpy.array_equal(read_mask(tmp_path / f"a.{suffix}", coloured=False), GREYS)
    with pytest.raises(
        ImageError, match=r"mask '.*' has 3 x 2 pixels, more than dataset.max_pixels=5.*dataset.max_pixels=6"
    ) as error:
        open_mask(tmp_path / f"a.{suffix}", max_pixels=5)
    assert error.value.code == "image-too-large"


@pytest.mark.parametrize("dtype", ["?", "u1", "<u2", ">u2", "<i2", ">i4", "<i8", "<u8", "<f4"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_an_array_holds_ids(tmp_path, dtype, order):
    ids = (GREYS > 1 if dtype == "?" else GREYS).astype(dtype)
    for array in (ids, ids[..., None]):
        numpy.save(tmp_path / "a.npy", numpy.asarray(array, order=order))
        assert numpy.array_equal(read_mask(tmp_path / "a.npy", coloured=False), ids)


@pytest.mark.parametrize("value", [-1, 70_000, 1 << 40])
def test_what_is_no_id_in_an_array_is_an_error(tmp_path, value):
    numpy.save(tmp_path / "a.npy", GREYS.astype(numpy.int64) * 0 + value)
    with pytest.raises(UserError, match=r"a.npy' holds the value .*. Expected whole numbers from 0 to 65,535 as ids"):
        read_mask(tmp_path / "a.npy", coloured=False)


def test_an_array_of_three_channels_holds_colours_and_one_of_two_is_refused(tmp_path):
    numpy.save(tmp_path / "a.npy", numpy.stack([GREYS, GREYS * 0, GREYS * 0 + 7], axis=-1))
    assert numpy.array_equal(read_mask(tmp_path / "a.npy", coloured=True), (GREYS.astype(int) << 16) + 7)
    numpy.save(tmp_path / "a.npy", numpy.zeros((2, 3, 2), numpy.uint8))
    with pytest.raises(
        UserError, match=r"mask '.*a.npy' cannot be read: it is an array \(2, 3, 2\) of uint8, and no ids"
    ):
        read_mask(tmp_path / "a.npy", coloured=True)
