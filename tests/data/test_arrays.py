"""Arrays of numpy as images: by their header first, without code, and in any of their types."""

import pickle

import numpy
import pytest
import torch
from PIL import Image

from visionkit.data.image_error import ImageError
from visionkit.data.image_files import LeftOut, walk_images
from visionkit.data.image_header import read_size
from visionkit.data.image_rows import MemoryRows, open_rows
from visionkit.data.images import ImageReader, load_image
from visionkit.data.sources import parse_source
from visionkit.errors import UserError

COLOURS = numpy.random.default_rng(0).integers(0, 256, (30, 40, 3)).astype(numpy.uint8)


@pytest.mark.parametrize("order", ["C", "F"])
def test_an_array_of_eight_bits_is_read_as_a_png_file_of_its_pixels(tmp_path, order):
    numpy.save(tmp_path / "a.npy", numpy.asarray(COLOURS, order=order))
    Image.fromarray(COLOURS).save(tmp_path / "a.png")
    for channels in (1, 3):
        expected = load_image(tmp_path / "a.png", channels).float()
        assert float((load_image(tmp_path / "a.npy", channels).float() - expected).abs().max()) <= (channels == 1)
    assert read_size(tmp_path / "a.npy") == (30, 40)


def test_grey_arrays_with_and_without_an_axis_of_channels_become_colours(tmp_path):
    for array in (COLOURS[..., 0], COLOURS[..., :1]):
        numpy.save(tmp_path / "a.npy", array)
        assert torch.equal(load_image(tmp_path / "a.npy"), torch.from_numpy(COLOURS[..., 0].copy()).expand(3, -1, -1))


@pytest.mark.parametrize("dtype", ["<u2", ">u2", "<f4", ">f4"])
def test_more_bits_and_floats_keep_their_range(tmp_path, dtype):
    values = (numpy.arange(1200).reshape(30, 40) * 3.5).astype(dtype)
    numpy.save(tmp_path / "a.npy", values)
    reader = ImageReader(1, (0, 4095))
    assert reader.measure(tmp_path / "a.npy")[:2] == (0, float(values.max()))
    expected = torch.from_numpy(values.astype(numpy.float32)).clamp(max=4095)[None] * (255 / 4095)
    assert torch.allclose(reader.read(tmp_path / "a.npy").pixels, expected, atol=1e-4)
    rows = open_rows(tmp_path / "a.npy", reader)
    assert not isinstance(rows, MemoryRows)
    assert torch.equal(rows.rows(10, 25), reader.read(tmp_path / "a.npy").pixels[:, 10:25])


@pytest.mark.parametrize("dtype", [numpy.int16, numpy.int32, numpy.int64, numpy.uint64])
def test_whole_numbers_of_any_type_keep_their_range(tmp_path, dtype):
    numpy.save(tmp_path / "a.npy", numpy.arange(1200).reshape(30, 40).astype(dtype))
    expected = torch.arange(1200.0).view(1, 30, 40) * (255 / 1200)
    assert torch.allclose(ImageReader(1, (0, 1200)).read(tmp_path / "a.npy").pixels, expected, atol=1e-4)


def test_true_is_white(tmp_path):
    numpy.save(tmp_path / "a.npy", COLOURS[..., 0] > 100)
    assert numpy.array_equal(load_image(tmp_path / "a.npy", 1)[0], (COLOURS[..., 0] > 100) * 255)


def test_five_bands_are_channels(tmp_path):
    array = numpy.arange(30 * 40 * 5, dtype=numpy.uint16).reshape(30, 40, 5)
    numpy.save(tmp_path / "a.npy", array)
    pixels = ImageReader(5, (0, 255)).read(tmp_path / "a.npy").pixels
    assert pixels[:, 0, 0].tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(ImageError, match=r"has 5 band\(s\), but dataset.in_channels=3"):
        load_image(tmp_path / "a.npy")


@pytest.mark.parametrize(
    ("array", "found"),
    [
        (numpy.zeros((4, 4), dtype=numpy.float64), r"values of the type float64.*array.astype\(numpy.float32\)"),
        (numpy.zeros((3, 40, 50), dtype=numpy.uint8), r"the shape \(3, 40, 50\).*numpy.moveaxis\(array, 0, -1\)"),
        (numpy.zeros(7, dtype=numpy.uint8), r"the shape \(7,\)"),
        (numpy.zeros((0, 7), dtype=numpy.uint8), r"the shape \(0, 7\)"),
        (numpy.zeros((4, 4), dtype=[("x", "u1")]), r"values of the type record"),
    ],
)
def test_what_is_no_image_says_what_was_found_and_what_to_type(tmp_path, array, found):
    numpy.save(tmp_path / "a.npy", array)
    with pytest.raises(ImageError, match=rf"a.npy' holds {found}"):
        load_image(tmp_path / "a.npy")


class _Code:
    def __reduce__(self):
        return pytest.fail, ("code of a file ran",)


def test_an_array_of_objects_never_runs_its_code(tmp_path):
    numpy.save(tmp_path / "a.npy", numpy.array([[_Code()]], dtype=object), allow_pickle=True)
    (tmp_path / "b.npy").write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(ImageError, match="values of the type object"):
        load_image(tmp_path / "a.npy")
    with pytest.raises(ImageError, match=r"b.npy' cannot be read: cannot identify"):
        load_image(tmp_path / "b.npy")


def test_a_header_that_says_more_than_the_file_holds_and_one_beyond_the_limit_are_errors(tmp_path):
    numpy.save(tmp_path / "a.npy", COLOURS)
    (tmp_path / "a.npy").write_bytes((tmp_path / "a.npy").read_bytes()[:-1])
    with pytest.raises(ImageError, match=r"a.npy' cannot be read: it is shorter than its 3,600 bytes"):
        load_image(tmp_path / "a.npy")
    numpy.save(tmp_path / "b.npy", COLOURS)
    with pytest.raises(ImageError, match=r"40 x 30 pixels, more than dataset.max_pixels=1000"):
        ImageReader(3, max_pixels=1000).read(tmp_path / "b.npy")
    (tmp_path / "c.npy").write_bytes(b"\x93NUMPY\x01\x00\xff\xff{'descr': '" + b"[" * 70_000)
    with pytest.raises(ImageError, match=r"c.npy' cannot be read"):
        load_image(tmp_path / "c.npy")


def test_arrays_are_found_in_folders_but_not_beside_an_image_whose_cache_they_are(tmp_path):
    for name in ("a.npy", "a.jpg", "b.npy", "deep/a.npy"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    left_out = LeftOut()
    assert sorted(walk_images(tmp_path, left_out)) == ["a.jpg", "b.npy", "deep/a.npy"]
    assert [(finding.code, finding.places) for finding in left_out.findings()] == [("array-beside-image", ("a.npy",))]


def test_sixteen_bands_are_channels_and_seventeen_are_more_than_a_data_set_may_have(tmp_path, settings):
    bands = numpy.random.default_rng(0).integers(0, 256, (30, 40, 16)).astype(numpy.uint8)
    numpy.save(tmp_path / "a.npy", bands)
    assert numpy.array_equal(load_image(tmp_path / "a.npy", 16), bands.transpose(2, 0, 1))
    assert parse_source(settings("folder", root=str(tmp_path), image_size=8, in_channels=16)).in_channels == 16
    with pytest.raises(UserError, match=r"dataset.in_channels: .* 16, found 17"):
        parse_source(settings("folder", root=str(tmp_path), image_size=8, in_channels=17))
