import torch
from torchvision.transforms.v2 import InterpolationMode, functional

from tests.helpers.batches import seeds_of
from visionkit.data.augment.batch import BATCH_TRANSFORMS, warp
from visionkit.data.augment.parsing import parse_augments
from visionkit.data.augment.spec import AffineSpec, RandomCropSpec
from visionkit.data.sample_seeds import Draws


def random_images(*shape: int) -> torch.Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def augmented(name, arguments, images):
    """Images after one augmentation."""
    (spec,) = parse_augments({name: arguments}, where="augment")
    return BATCH_TRANSFORMS[type(spec)](spec, tuple(images.shape[-2:]))(images, Draws(seeds_of(len(images))))


def test_warp_equals_torchvisions_affine_image_by_image():
    images = random_images(6, 3, 20, 28)
    draw = torch.Generator().manual_seed(1)
    angle = torch.rand(6, generator=draw) * 60 - 30
    shift = torch.randint(-4, 5, (6, 2), generator=draw).float()
    scale = torch.rand(6, generator=draw) + 0.5
    shear = torch.rand(6, 2, generator=draw) * 20 - 10
    ours = warp(images, angle=angle, shift=shift, scale=scale, shear=shear)
    for index, image in enumerate(images):
        reference = functional.affine(
            image,
            angle=float(angle[index]),
            translate=shift[index].tolist(),
            scale=float(scale[index]),
            shear=shear[index].tolist(),
            interpolation=InterpolationMode.BILINEAR,
        )
        # one grey level: float32 grids of another order of operations, then rounding
        assert (ours[index].int() - reference.int()).abs().max() <= 1


def test_warp_fills_the_outside():
    images = torch.full((1, 1, 8, 8), 10, dtype=torch.uint8)
    moved = warp(
        images,
        angle=torch.zeros(1),
        shift=torch.tensor([[3.0, 0.0]]),
        scale=torch.ones(1),
        shear=torch.zeros(1, 2),
        fill=200.0,
    )
    assert moved[0, 0, 0].tolist() == [200] * 3 + [10] * 5


def test_rotation_turns_as_torchvisions_does():
    images = random_images(3, 1, 16, 16)
    ours = augmented("rotation", {"degrees": [90, 90]}, images)
    assert torch.equal(ours, functional.rotate(images, 90))


def test_affine_draws_within_its_limits():
    images = torch.zeros(200, 1, 20, 20, dtype=torch.uint8)
    images[:, :, 10, 10] = 255
    affine = AffineSpec(degrees=0, translate=(0.1, 0.2))
    moved = BATCH_TRANSFORMS[AffineSpec](affine, (20, 20))(images, Draws(seeds_of(len(images))))
    rows, columns = (moved[:, 0] > 0).nonzero()[:, 1:].unbind(1)
    assert (int(columns.min()), int(columns.max())) == (8, 12)
    assert (int(rows.min()), int(rows.max())) == (6, 14)


def test_a_flip_mirrors_about_half_of_the_images_and_leaves_the_others():
    images = random_images(400, 1, 4, 4)
    flipped = augmented("horizontal_flip", {"p": 0.5}, images)
    mirrored = (flipped == images.flip(-1)).flatten(1).all(1)
    same = (flipped == images).flatten(1).all(1)
    assert bool((mirrored | same).all())
    assert 150 < int(mirrored.sum()) < 250  # five standard deviations of 10 around 200


def test_a_vertical_flip_of_probability_one_mirrors_all():
    images = random_images(3, 3, 4, 5)
    assert torch.equal(augmented("vertical_flip", {"p": 1}, images), images.flip(-2))


def test_every_crop_is_a_window_of_its_padded_image_and_all_windows_come():
    images = random_images(1, 2, 5, 6).expand(300, -1, -1, -1)
    crops = augmented("random_crop", {"padding": 1}, images)
    padded = functional.pad(images[0], [1, 1, 1, 1])
    windows = {
        tuple(padded[:, top : top + 5, left : left + 6].flatten().tolist()) for top in range(3) for left in range(3)
    }
    assert {tuple(crop.flatten().tolist()) for crop in crops} == windows


def test_a_crop_may_mirror_the_border():
    images = random_images(8, 1, 6, 6).clamp(1)
    crops = BATCH_TRANSFORMS[RandomCropSpec](RandomCropSpec(padding=2, padding_mode="reflect"), (6, 6))(
        images, Draws(seeds_of(len(images)))
    )
    assert int(crops.min()) > 0
