"""Reading image files at a fraction of their size, in any number of bands and any range, upright or as stored."""

import struct
import sys
import warnings
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy
import pytest
import torch
from PIL import Image, ImageOps

from visionkit.data.image_error import ImageError
from visionkit.data.image_header import naming_image, read_header, read_size
from visionkit.data.images import ImageReader, load_image
from visionkit.data.resizing import decoding_scale, resize_image
from visionkit.data.transforms import InputTransform


def photo(height: int, width: int) -> Image.Image:
    """Smooth shapes with edges, as photos have."""
    rows, columns = numpy.mgrid[:height, :width]
    pixels = 128 + 100 * numpy.sin(rows / 17)[..., None] * numpy.cos(columns[..., None] / (19, 23, 31))
    pixels[height // 3 : height // 2, width // 4 : width // 2] = (250, 20, 60)
    return Image.fromarray(pixels.astype(numpy.uint8))


def save_turned(path: Path, orientation: int, size: tuple[int, int] = (4, 6)) -> Path:
    exif = Image.Exif()
    exif[0x0112] = orientation
    photo(*size).save(path, exif=exif)
    return path


@pytest.mark.parametrize(
    ("size", "target", "scale"),
    [
        ((480, 640), (224, 224), 2),
        ((960, 1280), (224, 224), 4),
        ((480, 640), (240, 320), 1),  # at half the size sharp photos would differ too much
        ((960, 1280), (64, 64), 8),
        ((200, 4000), (150, 300), 1),
    ],
)
def test_a_jpeg_file_is_decoded_at_the_smallest_size_that_holds_the_result(size, target, scale):
    assert decoding_scale(size, target) == scale


@pytest.mark.parametrize("size", [(480, 640), (427, 641), (960, 1001)])
@pytest.mark.parametrize("mode", ["resize", "letterbox", "resize_crop", "pad"])
def test_what_is_decoded_smaller_equals_an_exact_resize(tmp_path, size, mode):
    photo(*size).save(tmp_path / "a.jpg", quality=92)
    transform = InputTransform((128, 160), mode)
    loaded = ImageReader(3).read(tmp_path / "a.jpg", target=transform.content_size)
    exact = transform.fit(load_image(tmp_path / "a.jpg").float())
    assert loaded.size == size
    assert float((transform.place(loaded.pixels).float() - exact).abs().mean()) < 2
    assert loaded.pixels.is_contiguous()


def test_a_png_file_is_resized_as_its_pixels_in_memory_are(tmp_path):
    photo(300, 200).save(tmp_path / "a.png")
    transform = InputTransform((64, 64), "letterbox")
    loaded = ImageReader(3).read(tmp_path / "a.png", target=transform.content_size)
    assert torch.equal(loaded.pixels, transform.fit(load_image(tmp_path / "a.png")))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_turned_upright(tmp_path, orientation):
    path = save_turned(tmp_path / "a.png", orientation)
    upright = numpy.asarray(ImageOps.exif_transpose(Image.open(path)))
    assert numpy.array_equal(load_image(path).permute(1, 2, 0).numpy(), upright)
    assert read_size(path) == upright.shape[:2]


@pytest.mark.parametrize("suffix", ["tif", "webp", "jpg", "png"])
@pytest.mark.parametrize("orientation", [2, 6, 7])
def test_files_of_every_form_are_turned_once(tmp_path, suffix, orientation):
    path = save_turned(tmp_path / f"a.{suffix}", orientation, (40, 60))
    upright = load_image(save_turned(tmp_path / "b.png", orientation, (40, 60))).float()
    assert read_size(path) == tuple(upright.shape[1:]) == ((40, 60) if orientation == 2 else (60, 40))
    assert float((load_image(path).float() - upright).abs().mean()) < 6
    stored = ImageReader(3).read(path, annotated=(40, 60)).pixels.float()
    unturned = torch.from_numpy(numpy.array(photo(40, 60))).permute(2, 0, 1).float()
    expected = upright if orientation == 2 else unturned
    assert float((stored - expected).abs().mean()) < 6


def test_a_tiff_file_beyond_the_limit_of_pillow_is_read_where_it_is_allowed(tmp_path, monkeypatch):
    photo(40, 60).save(tmp_path / "a.tif")
    Image.fromarray(numpy.full((40, 60), 9, numpy.uint16)).save(tmp_path / "b.tif", compression="tiff_lzw")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    pixels = ImageReader(3, max_pixels=2400).read(tmp_path / "a.tif").pixels
    assert numpy.array_equal(pixels.permute(1, 2, 0).numpy(), numpy.array(photo(40, 60)))
    assert ImageReader(1, (0, 255), max_pixels=2400).read(tmp_path / "b.tif").pixels.unique().tolist() == [9]


@pytest.mark.parametrize("orientation", [3, 6])
def test_a_turned_photo_is_decoded_smaller_too(tmp_path, orientation):
    path = save_turned(tmp_path / "a.jpg", orientation, (601, 800))
    size = (601, 800) if orientation == 3 else (800, 601)
    loaded = ImageReader(3).read(path, target=lambda height, width: (height // 5, width // 5))
    exact = resize_image(load_image(path).float(), (size[0] // 5, size[1] // 5))
    assert loaded.size == size
    assert float((loaded.pixels.float() - exact).abs().mean()) < 2


def test_a_photo_whose_annotation_has_the_stored_size_is_read_unturned(tmp_path):
    path = save_turned(tmp_path / "a.png", 6)
    stored = torch.from_numpy(numpy.array(Image.open(path))).permute(2, 0, 1)
    loaded = ImageReader(3).read(path, annotated=(4, 6))
    assert torch.equal(loaded.pixels, stored)
    assert loaded.size == (4, 6)
    assert ImageReader(3).read(path, annotated=(6, 4)).size == (6, 4)


def test_an_annotation_of_neither_size_is_an_error(tmp_path):
    path = save_turned(tmp_path / "a.png", 6)
    with pytest.raises(ImageError, match=r"is 4x6, but its annotation was made for 7x5") as error:
        ImageReader(3).read(path, annotated=(5, 7))
    assert error.value.code == "size-differs"


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_four_bands_of_a_tiff_file_are_no_transparency_unless_it_says_so(tmp_path, compression):
    pixels = numpy.random.RandomState(0).randint(0, 256, (5, 7, 4)).astype(numpy.uint8)
    image = Image.frombytes("RGBX", (7, 5), pixels.tobytes())
    image.save(tmp_path / "a.tif", compression=compression)
    bands = load_image(tmp_path / "a.tif", 4)
    assert numpy.array_equal(bands.permute(1, 2, 0).numpy(), pixels)
    with pytest.raises(ImageError, match=r"has 4 band\(s\), but dataset.in_channels=3.*Try: dataset.in_channels=4"):
        load_image(tmp_path / "a.tif", 3)


def test_a_tiff_file_that_says_it_is_transparent_lies_over_white(tmp_path):
    Image.new("RGBA", (3, 2), (0, 0, 0, 0)).save(tmp_path / "a.tif")
    assert load_image(tmp_path / "a.tif").unique().tolist() == [255]


def test_pages_of_one_band_are_channels(tmp_path):
    pages = [Image.fromarray(numpy.full((3, 4), 1000 * k, numpy.uint16)) for k in range(5)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    pixels = ImageReader(5, (0, 4000)).read(tmp_path / "a.tif").pixels
    assert pixels.shape == (5, 3, 4)
    assert pixels[:, 0, 0].tolist() == [0, 63.75, 127.5, 191.25, 255]


def many_bands(path: Path) -> None:
    """A TIFF file of five bands of 16 bits that Pillow cannot read: the header alone."""
    tags = [(256, 4), (257, 3), (258, 16), (259, 1), (262, 1), (273, 8), (277, 5), (278, 3), (279, 120)]
    entries = b"".join(struct.pack("<HHII", tag, 3, 1, value) for tag, value in tags)
    path.write_bytes(b"II*\0" + struct.pack("<I", 128) + bytes(120) + struct.pack("<H", len(tags)) + entries + bytes(4))


def test_a_tiff_file_that_pillow_cannot_read_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tifffile", None)
    many_bands(tmp_path / "a.tif")
    with pytest.raises(ImageError, match=r"a.tif' cannot be read: .*Try: pip install tifffile"):
        load_image(tmp_path / "a.tif", 5)


def test_tifffile_reads_what_pillow_cannot(tmp_path, monkeypatch):
    array = numpy.arange(60, dtype=numpy.uint16).reshape(3, 4, 5)
    page = SimpleNamespace(samplesperpixel=5, imagewidth=4, imagelength=3, dtype=array.dtype)

    class TiffFile:
        def __init__(self, path):
            self.pages = [page]

        def __enter__(self):
            return self

        def __exit__(self, *args):
            return None

    monkeypatch.setitem(sys.modules, "tifffile", SimpleNamespace(TiffFile=TiffFile, imread=lambda path: array))
    many_bands(tmp_path / "a.tif")
    pixels = ImageReader(5, (0, 255)).read(tmp_path / "a.tif").pixels
    assert numpy.array_equal(pixels.permute(1, 2, 0).numpy(), array)
    assert read_header(tmp_path / "a.tif").size == (3, 4)


def test_twelve_bits_keep_their_levels_in_a_range(tmp_path):
    levels = numpy.arange(4096, dtype=numpy.uint16).reshape(64, 64)
    Image.fromarray(levels).save(tmp_path / "a.png")
    reader = ImageReader(1, (0, 4095))
    pixels = reader.read(tmp_path / "a.png").pixels
    assert pixels.dtype == torch.float32
    assert len(pixels.unique()) == 4096
    assert pixels.flatten()[[0, 4095]].tolist() == [0, 255]
    assert reader.measure(tmp_path / "a.png")[:2] == (0, 4095)


def test_sixteen_bits_of_colour_keep_their_levels(tmp_path):
    colours = numpy.array([[[0, 1, 65535], [256, 257, 258]]], dtype=">u2")

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0)
    data = zlib.compress(b"\0" + colours.tobytes())
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(png)
    pixels = ImageReader(3, (0, 255 * 257)).read(tmp_path / "a.png").pixels
    assert torch.allclose(pixels[:, 0].T * 257, torch.tensor([[0.0, 1, 65535], [256, 257, 258]]), atol=0.01)


def test_numbers_that_are_none_and_values_outside_the_range_are_clipped(tmp_path):
    values = numpy.array([[-5, 0.25, numpy.nan, numpy.inf, 2]], dtype=numpy.float32)
    Image.fromarray(values).save(tmp_path / "a.tif")
    reader = ImageReader(1, (0, 1))
    assert reader.read(tmp_path / "a.tif").pixels.flatten().tolist() == [0, 63.75, 0, 255, 255]
    assert reader.measure(tmp_path / "a.tif")[:2] == (-5, 2)


def test_images_of_eight_bits_stay_as_they_are_beside_deeper_ones(tmp_path):
    photo(5, 7).save(tmp_path / "a.png")
    pixels = ImageReader(3, (0, 4095)).read(tmp_path / "a.png").pixels
    assert pixels.dtype == torch.float32
    assert torch.equal(pixels, load_image(tmp_path / "a.png").float())
    assert ImageReader(3).measure(tmp_path / "a.png") is None


def test_an_image_of_too_many_pixels_is_refused_by_its_header_without_a_warning(tmp_path):
    header = struct.pack(">IIBBBBB", 1, 400_000_000, 1, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0\0")), (b"IEND", b"")]
    content = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + content)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ImageError, match=r"1 x 400,000,000 pixels.*or allow it: dataset.max_pixels=") as error:
            ImageReader(3, max_pixels=10**6).read(tmp_path / "a.png")
        assert error.value.code == "image-too-large"
        assert read_size(tmp_path / "a.png") == (400_000_000, 1)


def test_a_file_of_a_script_is_no_image(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n")
    with pytest.raises(ImageError, match=r"a.jpg' cannot be read: cannot identify"):
        load_image(tmp_path / "a.jpg")


def test_an_empty_file_is_said_in_plain_words(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(ImageError, match=r"a.png' cannot be read: it is empty, a file of 0 bytes"):
        ImageReader(3).read(tmp_path / "a.png")


def test_a_file_cut_short_within_its_header_is_no_image(tmp_path):
    (tmp_path / "a.bmp").write_bytes(b"BM\0\0")
    with pytest.raises(ImageError, match=r"a.bmp' cannot be read: cannot identify image file"):
        ImageReader(3).read(tmp_path / "a.bmp")


def test_what_cannot_be_unpacked_is_said_in_plain_words():
    with pytest.raises(ImageError, match=r"a.bmp' cannot be read: it was cut short\."), naming_image("a.bmp"):
        struct.unpack("<I", b"")
