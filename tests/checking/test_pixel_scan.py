"""What the pixels of an image are noted by."""

import os

import numpy
import pytest
from PIL import Image, ImageFilter
from scipy.fft import dctn

from visionkit.checking.pixel_scan import perceptual_hash, scan_pixels


def picture(seed, height=120, width=160):
    """A picture with large and small shapes, RGB."""
    random = numpy.random.default_rng(seed)
    values = numpy.zeros((height, width, 3))
    for cells, share in ((4, 0.5), (12, 0.3), (40, 0.2)):
        shapes = Image.fromarray(random.integers(0, 255, (cells, cells, 3), dtype=numpy.uint8))
        values += share * numpy.asarray(shapes.resize((width, height)))
    return Image.fromarray(values.astype(numpy.uint8))


def _scan(path, image, **options):
    image.save(path, **options)
    return scan_pixels([os.fsencode(path)], max_pixels=10**8)[0]


def test_the_hash_is_that_of_the_lowest_frequencies_of_scipys_cosine_transform():
    grey = numpy.asarray(picture(1, 32, 32).convert("L"))
    low = dctn(grey.astype(float))[:8, :8]
    bits = (low > numpy.median(low)).ravel()
    assert perceptual_hash(grey) == int("".join(str(int(bit)) for bit in bits), 2)


def test_a_picture_is_measured_as_numpy_measures_it(tmp_path):
    image = picture(2)
    grey = numpy.asarray(image.convert("L")).astype(float)
    found = _scan(tmp_path / "a.png", image)
    assert found["is_read"]
    assert found["mean"] == pytest.approx(grey.mean(), abs=0.1)
    assert found["deviation"] == pytest.approx(grey.std(), abs=0.1)
    assert found["range"] == grey.max() - grey.min()
    shares = numpy.bincount((grey // 4).astype(int).ravel(), minlength=64) / grey.size
    assert found["entropy"] == pytest.approx(-(shares[shares > 0] * numpy.log2(shares[shares > 0])).sum(), abs=0.01)


def test_a_blurred_picture_is_less_sharp_and_a_grey_one_without_colour(tmp_path):
    sharp, blurred, grey = (
        _scan(tmp_path / f"{number}.png", image)
        for number, image in enumerate(
            (picture(3), picture(3).filter(ImageFilter.GaussianBlur(4)), picture(3).convert("L").convert("RGB"))
        )
    )
    assert blurred["sharpness"] < 0.2 * sharp["sharpness"]
    assert grey["colour"] == 0
    assert sharp["colour"] > 5


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "I;16", "1"])
def test_pictures_of_all_modes_are_looked_at(tmp_path, mode):
    image = picture(4)
    if mode == "I;16":
        image = Image.fromarray(numpy.asarray(image.convert("L")).astype(numpy.uint16) * 200)
    elif mode != "CMYK":
        image = image.convert(mode)
    else:
        image = image.convert("CMYK")
    found = _scan(tmp_path / "a.tif", image)
    assert found["is_read"]
    assert found["deviation"] > 10


def test_a_picture_of_too_many_pixels_and_one_that_cannot_be_decoded_are_not_read(tmp_path):
    picture(5).save(tmp_path / "a.jpg")
    (tmp_path / "b.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:900])
    paths = [os.fsencode(tmp_path / name) for name in ("a.jpg", "b.jpg")]
    assert scan_pixels(paths, max_pixels=100)["is_read"].tolist() == [False, False]
    assert scan_pixels(paths, max_pixels=10**6)["is_read"].tolist() == [True, False]


def test_a_jpeg_file_with_a_marker_where_none_may_be_is_broken(tmp_path):
    picture(6).save(tmp_path / "a.jpg", quality=90)
    whole = bytearray((tmp_path / "a.jpg").read_bytes())
    assert not scan_pixels([os.fsencode(tmp_path / "a.jpg")], max_pixels=10**6)[0]["is_broken"]
    whole[len(whole) // 2 : len(whole) // 2 + 2] = b"\xff\x4c"
    (tmp_path / "b.jpg").write_bytes(whole)
    found = scan_pixels([os.fsencode(tmp_path / "b.jpg")], max_pixels=10**6)[0]
    assert found["is_broken"] or not found["is_read"]
