import os
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy
import pytest
import torch
from PIL import Image

from visionkit.data.image_error import ImageError
from visionkit.data.image_files import IMAGE_SUFFIXES, is_image_name, readable_suffixes, walk_images
from visionkit.data.image_header import read_size
from visionkit.data.images import load_image
from visionkit.errors import UserError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.jpg", "a.PNG", "deep/er/c.webp", "notes.txt", ".hidden.jpg", ".cache/d.jpg", "__MACOSX/e.jpg"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return tmp_path / "in"


def test_links_that_lead_round_are_followed_once(folder: Path):
    os.symlink(folder, folder / "deep" / "round")
    assert sorted(walk_images(folder)) == ["a.PNG", "b.jpg", "deep/er/c.webp"]


@pytest.mark.parametrize(("name", "is_image"), [("a.JPEG", True), ("a.tif", True), ("a.txt", False), (".a.jpg", False)])
def test_image_names_are_told_by_their_suffix(name, is_image):
    assert is_image_name(name) is is_image


def test_heic_is_an_image_where_a_plug_in_opens_it(monkeypatch):
    Image.init()
    plugin = SimpleNamespace(register_heif_opener=lambda: Image.register_extension("TIFF", ".heic"))
    monkeypatch.setattr(Image, "EXTENSION", dict(Image.EXTENSION))
    monkeypatch.setitem(sys.modules, "pillow_heif", plugin)
    readable_suffixes.cache_clear()
    try:
        assert is_image_name("IMG_1.HEIC")
        assert ".heic" in readable_suffixes() >= IMAGE_SUFFIXES
    finally:
        readable_suffixes.cache_clear()


def test_heic_is_no_image_without_a_plug_in(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    readable_suffixes.cache_clear()
    assert not is_image_name("IMG_1.HEIC")
    assert is_image_name("a.avif") is (".avif" in Image.registered_extensions())


def test_grey_images_are_read_in_colour_and_the_other_way_round(tmp_path: Path):
    Image.fromarray(numpy.full((4, 6), 77, numpy.uint8)).save(tmp_path / "grey.png")
    Image.fromarray(numpy.full((4, 6, 3), 99, numpy.uint8)).save(tmp_path / "color.png")
    color, grey = load_image(tmp_path / "grey.png", 3), load_image(tmp_path / "color.png", 1)
    assert color.shape == (3, 4, 6)
    assert color.dtype == torch.uint8
    assert color.unique().tolist() == [77]
    assert grey.shape == (1, 4, 6)
    assert grey.unique().tolist() == [99]


def test_channels_are_in_the_order_red_green_blue(tmp_path: Path):
    Image.new("RGB", (2, 2), (10, 20, 30)).save(tmp_path / "a.png")
    assert load_image(tmp_path / "a.png")[:, 0, 0].tolist() == [10, 20, 30]


def test_palette_images_are_read_by_their_colors(tmp_path: Path):
    Image.new("RGB", (2, 2), (250, 20, 30)).quantize(4).save(tmp_path / "a.png")
    assert load_image(tmp_path / "a.png")[:, 1, 1].tolist() == [250, 20, 30]


def test_cmyk_images_are_read_in_colour(tmp_path: Path):
    Image.new("CMYK", (16, 16), (0, 0, 0, 0)).save(tmp_path / "a.jpg")
    assert load_image(tmp_path / "a.jpg").unique().tolist() == [255]


def test_what_is_transparent_lies_over_white(tmp_path: Path):
    Image.new("RGBA", (2, 2), (0, 0, 0, 0)).save(tmp_path / "a.png")
    assert load_image(tmp_path / "a.png").unique().tolist() == [255]


def test_16_bit_values_are_brought_to_8_bits(tmp_path: Path):
    Image.fromarray(numpy.array([[0, 257, 65535]], numpy.uint16)).save(tmp_path / "a.png")
    assert load_image(tmp_path / "a.png", 1).flatten().tolist() == [0, 1, 255]


def test_floating_point_images_from_0_to_1_are_stretched(tmp_path: Path):
    Image.fromarray(numpy.array([[0.0, 0.5, 1.0]], numpy.float32)).save(tmp_path / "a.tif")
    assert load_image(tmp_path / "a.tif", 1).flatten().tolist() == [0, 128, 255]


def test_exif_orientation_is_applied_to_pixels_and_size(tmp_path: Path):
    image = Image.new("RGB", (6, 4))
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / "a.jpg", exif=exif)
    assert load_image(tmp_path / "a.jpg").shape == (3, 6, 4)
    assert read_size(tmp_path / "a.jpg") == (6, 4)


@pytest.mark.parametrize("content", [b"", b"no image at all", b"\xff\xd8\xff\xe0 cut off"])
def test_an_unreadable_image_is_named(tmp_path: Path, content):
    (tmp_path / "bad.jpg").write_bytes(content)
    with pytest.raises(
        UserError, match=r"image '.*bad.jpg' cannot be read: .*Expected a whole JPEG.*Replace or remove"
    ):
        load_image(tmp_path / "bad.jpg")
    with pytest.raises(UserError, match=r"bad.jpg' cannot be read"):
        read_size(tmp_path / "bad.jpg")


def test_a_truncated_image_is_named(tmp_path: Path, save_image):
    whole = save_image(tmp_path / "a.png", size=(64, 64)).read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"cut.png' cannot be read"):
        load_image(tmp_path / "cut.png")


def test_a_missing_image_is_named(tmp_path: Path):
    with pytest.raises(UserError, match=r"image '.*gone.png' does not exist"):
        load_image(tmp_path / "gone.png")


def test_another_number_of_bands_than_asked_is_said_with_what_to_type(tmp_path: Path, save_image):
    save_image(tmp_path / "a.png")
    with pytest.raises(
        ImageError, match=r"a.png' has 3 band\(s\), but dataset.in_channels=4.*Try: dataset.in_channels=3"
    ) as error:
        load_image(tmp_path / "a.png", 4)
    assert error.value.code == "image-bands"


def test_a_pipe_is_no_image_and_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(UserError, match=r"a.png' cannot be read: it is a folder, a pipe or a device"):
        load_image(tmp_path / "a.png")
