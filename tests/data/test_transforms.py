from pathlib import Path

import numpy
import pytest
import torch
from PIL import Image
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.transforms import v2

from visionkit.data.images import load_image, read_size
from visionkit.data.transforms import InputTransform
from visionkit.errors import UserError


def random_images(*shape: int) -> torch.Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("mode", ["resize", "pad", "resize_crop"])
@pytest.mark.parametrize(("channels", "size"), [(1, (28, 28)), (3, (40, 30)), (3, (8, 9)), (1, (64, 70))])
def test_a_batch_gives_the_same_pixels_as_its_images_one_by_one(mode, channels, size):
    transform = InputTransform((32, 24), mode)
    images = random_images(5, channels, *size)
    together = transform(images)
    assert together.shape == (5, channels, 32, 24)
    assert together.dtype == torch.uint8
    assert torch.equal(together, torch.stack([transform(image) for image in images]))


@pytest.mark.parametrize("mode", ["resize", "pad"])
def test_images_of_the_right_size_pass_unchanged(mode):
    images = random_images(2, 3, 32, 32)
    assert torch.equal(InputTransform((32, 32), mode)(images), images)


def test_pad_lays_28_pixels_in_the_middle_of_32_zeros():
    image = random_images(1, 28, 28)
    padded = InputTransform((32, 32), "pad", native=(28, 28))(image)
    assert torch.equal(padded[:, 2:30, 2:30], image)
    assert int(padded.sum()) == int(image.sum())


def test_pad_enlarges_by_the_largest_whole_factor_that_fits():
    image = torch.full((1, 28, 28), 200, dtype=torch.uint8)
    padded = InputTransform((70, 70), "pad", native=(28, 28))(image)
    assert int((padded == 200).sum()) == 56 * 56
    assert padded[0, 7, 7] == 200
    assert padded[0, 6, 6] == 0


def test_pad_brings_a_foreign_image_to_the_native_size_and_keeps_its_proportions():
    padded = InputTransform((32, 32), "pad", native=(28, 28))(torch.full((1, 280, 140), 255, dtype=torch.uint8))
    rows, columns = (padded[0] > 0).any(1).sum(), (padded[0] > 0).any(0).sum()
    assert (int(rows), int(columns)) == (28, 14)


def test_pad_shrinks_what_does_not_fit():
    padded = InputTransform((16, 16), "pad", native=(28, 28))(torch.full((1, 28, 28), 255, dtype=torch.uint8))
    assert padded.shape == (1, 16, 16)
    assert int(padded.min()) == 255


@pytest.mark.parametrize("size", [(300, 400), (500, 375), (256, 256), (120, 90)])
def test_resize_crop_equals_torchvisions_256_and_224(size):
    image = random_images(3, *size)
    reference = v2.Compose([v2.Resize(256, antialias=True), v2.CenterCrop(224)])(image)
    assert torch.equal(InputTransform((224, 224), "resize_crop")(image), reference)


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


def test_another_number_of_channels_is_refused(tmp_path: Path):
    with pytest.raises(UserError, match=r"1 channel .* or 3 .*, not 4"):
        load_image(tmp_path / "a.png", 4)


@pytest.mark.parametrize(
    ("size", "fitted"), [((40, 20), (32, 16)), ((20, 40), (24, 48)), ((10, 10), (32, 32)), ((1, 500), (1, 48))]
)
def test_letterbox_keeps_the_proportions_and_fills_up_on_the_right_and_below(size, fitted):
    transform = InputTransform((32, 48), "letterbox")
    image = random_images(3, *size)
    inner = transform.fit(image)
    assert tuple(inner.shape[-2:]) == transform.fitted_size(*size) == fitted
    whole = transform(image)
    assert whole.shape == (3, 32, 48)
    assert torch.equal(whole[:, : fitted[0], : fitted[1]], inner)
    assert int(whole[:, fitted[0] :].sum()) == int(whole[:, :, fitted[1] :].sum()) == 0


@pytest.mark.parametrize("size", [(480, 640), (640, 480), (500, 500), (300, 1200), (1000, 777)])
def test_resize_pad_gives_the_sizes_of_torchvisions_detection_models(size):
    transform = GeneralizedRCNNTransform(80, 133, [0.0] * 3, [1.0] * 3)
    expected = transform.resize(torch.zeros(3, *size), None)[0].shape[-2:]
    found = InputTransform((80, 80), "resize_pad", max_size=133).fitted_size(*size)
    assert all(abs(a - b) <= 1 for a, b in zip(found, expected, strict=True))  # torchvision rounds down
    assert max(found) <= 133


def test_resize_pad_fills_a_batch_up_to_its_largest_image_in_multiples_of_32():
    transform = InputTransform((40, 40), "resize_pad")
    images = [transform.fit(random_images(3, 20, 30)), transform.fit(random_images(3, 50, 20))]
    batch, sizes = transform.pad_batch(images)
    assert sizes.tolist() == [[40, 60], [100, 40]]
    assert batch.shape == (2, 3, 128, 64)
    for row, image in zip(batch, images, strict=True):
        assert torch.equal(row[:, : image.shape[1], : image.shape[2]], image)
        assert int(row.sum()) == int(image.sum())
    assert torch.equal(transform(random_images(3, 50, 20)), transform.pad_batch(images[1:])[0][0])


@pytest.mark.parametrize("mode", ["resize", "pad", "resize_crop", "letterbox", "resize_pad"])
def test_what_has_been_fitted_stays_as_it_is_and_a_batch_of_one_is_the_image(mode):
    transform = InputTransform((32, 40), mode, max_size=90)
    for size in ((333, 500), (31, 17), (8, 64)):
        fitted = transform.fit(random_images(3, *size))
        assert mode == "resize_crop" or torch.equal(transform.fit(fitted), fitted)
        batch, sizes = transform.pad_batch([fitted])
        assert torch.equal(batch[0], transform(random_images(3, *size)))
        assert sizes.tolist() == [list(fitted.shape[-2:])]
