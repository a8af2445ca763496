import pytest
import torch
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.transforms import v2

from visionkit.data.transforms import InputTransform


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
