"""Images read some rows at a time: the same pixels as whole ones, in the memory of a part."""

import io
import itertools
import zlib

import numpy
import pytest
import torch
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from visionkit.data import memory
from visionkit.data.image_error import ImageError
from visionkit.data.image_rows import MemoryRows, open_rows
from visionkit.data.images import ImageReader

HEIGHT, WIDTH = 300, 400


def colours(bands=3):
    random = numpy.random.default_rng(0)
    coarse = numpy.kron(random.integers(0, 230, (30, 40, bands)), numpy.ones((10, 10, 1)))
    return (coarse + random.integers(0, 20, (HEIGHT, WIDTH, bands))).astype(numpy.uint8)


def levels():
    return numpy.random.default_rng(1).integers(0, 65536, (HEIGHT, WIDTH)).astype(numpy.uint16)


def write_tiles(path, array, *, order=b"II", compression=8, tile=(128, 64)):
    """A TIFF file of tiles, which Pillow reads and does not write."""
    tiles = []
    for top, left in itertools.product(range(0, HEIGHT, tile[0]), range(0, WIDTH, tile[1])):
        part = array[top : top + tile[0], left : left + tile[1]]
        padding = [(0, tile[0] - part.shape[0]), (0, tile[1] - part.shape[1])] + [(0, 0)] * (array.ndim - 2)
        content = numpy.pad(part, padding).astype(array.dtype.newbyteorder("<" if order == b"II" else ">")).tobytes()
        tiles.append(zlib.compress(content) if compression == 8 else content)
    bands = array.shape[2] if array.ndim == 3 else 1
    ifd = ImageFileDirectory_v2(order + (b"*\0" if order == b"II" else b"\0*") + bytes(4))
    ifd.tagtype |= {324: 4, 325: 4}
    photometric = 2 if bands == 3 else 1
    values = {256: WIDTH, 257: HEIGHT, 258: (8 * array.itemsize,) * bands, 259: compression, 262: photometric,
              277: bands, 322: tile[1], 323: tile[0], 324: (0,) * len(tiles), 325: tuple(map(len, tiles))}  # fmt: skip
    for tag, value in values.items():
        ifd[tag] = value
    begin = ifd.save(io.BytesIO())
    ifd[324] = tuple(begin + start for start in itertools.accumulate(map(len, tiles[:-1]), initial=0))
    with open(path, "wb") as file:
        ifd.save(file)
        file.write(b"".join(tiles))


def _grey_and_alpha(path):
    image = Image.fromarray(colours())
    image.putalpha(Image.fromarray((levels() // 256).astype(numpy.uint8)))
    image.save(path)


FILES = {
    "raw": lambda path: Image.fromarray(colours()).save(path),
    "raw in one strip": lambda path: Image.fromarray(colours()).save(path, tiffinfo={278: HEIGHT}),
    "lzw": lambda path: Image.fromarray(colours()).save(path, compression="tiff_lzw"),
    "deflate": lambda path: Image.fromarray(colours()).save(path, compression="tiff_adobe_deflate"),
    "packbits": lambda path: Image.fromarray(colours()).save(path, compression="packbits"),
    "jpeg": lambda path: Image.fromarray(colours()).save(path, compression="jpeg", quality=90),
    "big": lambda path: Image.fromarray(colours()).save(path, big_tiff=True),
    "tiles": lambda path: write_tiles(path, colours()),
    "raw tiles": lambda path: write_tiles(path, colours(), order=b"MM", compression=1),
    "palette": lambda path: Image.fromarray(colours()).convert("P").save(path),
    "cmyk": lambda path: Image.fromarray(colours()).convert("CMYK").save(path),
    "alpha": _grey_and_alpha,
}


def rows_equal(path, reader):
    """Whether rows, and rows that overlap, are those of the whole image."""
    whole, image = reader.read(path).pixels, open_rows(path, reader)
    starts = range(0, HEIGHT - 50, 31)
    return image.size == (HEIGHT, WIDTH) and all(
        torch.equal(image.rows(top, top + 50), whole[:, top : top + 50]) for top in (*starts, HEIGHT - 50)
    )


@pytest.mark.parametrize("form", FILES)
def test_rows_of_a_tiff_file_are_those_of_the_whole_image(tmp_path, form):
    FILES[form](tmp_path / "a.tif")
    assert not isinstance(open_rows(tmp_path / "a.tif", ImageReader(3)), MemoryRows)
    for channels in (1, 3):
        assert rows_equal(tmp_path / "a.tif", ImageReader(channels))


@pytest.mark.parametrize("order", [b"II", b"MM"])
def test_rows_of_sixteen_bits_keep_their_levels_in_either_order_of_bytes(tmp_path, order):
    write_tiles(tmp_path / "tiles.tif", levels(), order=order)
    Image.fromarray(levels()).save(tmp_path / "strips.tif")
    for name in ("tiles.tif", "strips.tif"):
        assert rows_equal(tmp_path / name, ImageReader(1, (0, 65535)))
        assert rows_equal(tmp_path / name, ImageReader(3))


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_rows_of_four_bands_are_those_of_the_whole_image(tmp_path, compression):
    Image.frombytes("RGBX", (WIDTH, HEIGHT), colours(4).tobytes()).save(tmp_path / "a.tif", compression=compression)
    assert rows_equal(tmp_path / "a.tif", ImageReader(4))


def test_floats_without_a_range_are_stretched_by_the_whole_image(tmp_path):
    values = numpy.linspace(0, 1, HEIGHT * WIDTH, dtype=numpy.float32).reshape(HEIGHT, WIDTH)
    values[-1, -1] = 200  # no range up to 1, as only the last row says
    Image.fromarray(values).save(tmp_path / "a.tif")
    assert rows_equal(tmp_path / "a.tif", ImageReader(1))
    assert rows_equal(tmp_path / "a.tif", ImageReader(1, (0, 1)))


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
def test_files_that_cannot_be_divided_and_turned_ones_are_read_whole(tmp_path, suffix):
    exif = Image.Exif()
    exif[0x0112] = 8
    Image.fromarray(numpy.rot90(colours(), 3).copy()).save(tmp_path / f"a.{suffix}", exif=exif)
    assert rows_equal(tmp_path / f"a.{suffix}", ImageReader(3))


def test_an_image_larger_than_the_limit_is_opened_and_one_larger_than_memory_is_not(tmp_path, monkeypatch):
    Image.fromarray(colours()).save(tmp_path / "a.png")
    Image.fromarray(colours()).save(tmp_path / "a.tif")
    reader = ImageReader(3, max_pixels=1000)
    assert rows_equal(tmp_path / "a.png", reader.unlimited)
    assert open_rows(tmp_path / "a.png", reader).size == (HEIGHT, WIDTH)
    monkeypatch.setattr(memory, "available_memory", lambda: 64 * WIDTH * 10)  # of 64 rows: Pillow's 4 bytes and twice 3
    assert open_rows(tmp_path / "a.tif", reader).rows(0, 10).shape == (3, 10, WIDTH)
    with pytest.raises(ImageError, match=r"a.png' has 400 x 300 pixels, and decoding it takes 1 MiB .*tiffcp -c lzw"):
        open_rows(tmp_path / "a.png", reader)


def test_a_tiff_file_whose_last_strips_are_missing_is_an_error_where_they_are_needed(tmp_path):
    path = tmp_path / "a.tif"
    Image.fromarray(colours()).save(path, compression="tiff_lzw")
    with Image.open(path) as image:
        begin, length = image.tag_v2[273][-1], image.tag_v2[279][-1]
    content = bytearray(path.read_bytes())
    content[begin : begin + length] = bytes(length)
    path.write_bytes(content)
    image = open_rows(path, ImageReader(3))
    assert image.rows(0, 50).shape == (3, 50, WIDTH)
    with pytest.raises(ImageError, match=r"a.tif' cannot be read: "):
        image.rows(250, HEIGHT)


def test_a_reduced_image_has_the_means_of_blocks(tmp_path):
    Image.fromarray(colours()).save(tmp_path / "a.tif")
    reduced = open_rows(tmp_path / "a.tif", ImageReader(3)).reduced(7)
    assert (reduced.dtype, tuple(reduced.shape)) == (torch.uint8, (3, 43, 58))
    pixels = torch.from_numpy(colours()).permute(2, 0, 1).float()
    assert reduced[:, 2, 3].tolist() == pixels[:, 14:21, 21:28].mean(dim=(1, 2)).round().tolist()
    assert reduced[:, -1, -1].tolist() == pixels[:, 294:, 399:].mean(dim=(1, 2)).round().tolist()
    assert torch.equal(open_rows(tmp_path / "a.tif", ImageReader(3)).reduced(1), pixels.byte())
