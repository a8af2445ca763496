import subprocess
import sys

import pytest
import torch
from torchvision.transforms import v2

from tests.helpers.batches import seeds_of
from visionkit.data.augment.image import Augment
from visionkit.data.augment.table import AUGMENTATIONS, check_augment
from visionkit.errors import UserError

EXAMPLES = {
    "random_crop": {"padding": 4},
    "random_resized_crop": {"scale": [0.5, 1.0], "ratio": [0.75, 1.33]},
    "horizontal_flip": {"p": 0.5},
    "vertical_flip": {},
    "rotation": {"degrees": 15},
    "affine": {"degrees": 10, "translate": [0.1, 0.1], "scale": [0.9, 1.1], "shear": 5},
    "perspective": {"distortion_scale": 0.3, "p": 1.0},
    "color_jitter": {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1},
    "photometric_distort": {"brightness": [0.5, 1.5], "hue": [-0.05, 0.05], "p": 1.0},
    "grayscale": {"p": 1.0},
    "gaussian_blur": {"kernel_size": 3, "sigma": [0.1, 2.0]},
    "random_erasing": {"p": 1.0, "value": 0},
    "trivial_augment": {},
    "rand_augment": {"num_ops": 2, "magnitude": 9},
}


def random_images(*shape: int) -> torch.Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_every_augmentation_has_an_example():
    assert set(EXAMPLES) == {name for name, row in AUGMENTATIONS.items() if row.supports(["label"])}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_gives_uint8_images_of_the_size_and_the_same_ones_for_the_same_seed(name, channels):
    check_augment({name: EXAMPLES[name]}, where="augment")
    augment = Augment({name: EXAMPLES[name]}, (24, 20))
    images = random_images(6, channels, 24, 20)
    first, again, other = (augment(images.clone(), seeds=seeds_of(6, seed=seed)) for seed in (1, 1, 2))
    assert first.shape == (6, channels, 24, 20)
    assert first.dtype == torch.uint8
    assert torch.equal(first, again)
    if name != "grayscale" or channels == 3:
        assert not torch.equal(first, images)
    assert name == "grayscale" or not torch.equal(first, other)


def test_each_image_has_a_draw_of_its_own():
    images = random_images(1, 3, 16, 16).expand(16, -1, -1, -1)
    changed = Augment({"random_resized_crop": {}}, (16, 16))(images, seeds=seeds_of(16))
    assert len({tuple(image.flatten().tolist()) for image in changed}) > 8


def test_torchs_own_random_state_is_left_as_it_was():
    before = torch.get_rng_state()
    Augment({"horizontal_flip": {}, "color_jitter": {"brightness": 0.5}}, (8, 8))(
        random_images(4, 3, 8, 8), seeds=seeds_of(4)
    )
    assert torch.equal(torch.get_rng_state(), before)


def test_a_resized_crop_takes_images_of_any_size():
    augment = Augment({"random_resized_crop": {"scale": [0.5, 1.0]}, "horizontal_flip": {}}, (12, 10))
    assert augment.wants_original
    images = [random_images(3, 30, 20), random_images(3, 9, 50)]
    assert augment(images, seeds=seeds_of(2)).shape == (2, 3, 12, 10)


def test_a_name_whose_value_is_null_is_left_out():
    augment = Augment({"horizontal_flip": None, "random_resized_crop": None}, (8, 8))
    assert not augment
    assert not augment.wants_original


def test_an_unknown_name_gets_the_nearest_one():
    with pytest.raises(
        UserError, match=r"augment: no augmentation is called 'horizontal_flop'.*mean 'horizontal_flip'"
    ):
        check_augment({"horizontal_flop": {}}, where="dataset.augment")


def test_an_unknown_argument_gets_the_nearest_one():
    with pytest.raises(UserError, match=r"augment.random_crop: unknown argument 'pading'. Did you mean 'padding'"):
        check_augment({"random_crop": {"pading": 4}}, where="dataset.augment")


def test_a_missing_argument_is_named():
    with pytest.raises(UserError, match=r"augment.affine: the argument 'degrees' is required"):
        check_augment({"affine": {"scale": [0.9, 1.1]}}, where="dataset.augment")


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("horizontal_flip", {"p": 2}, r"horizontal_flip.p: expected a number from 0 to 1, found 2"),
        ("random_crop", {"padding": "4"}, r"random_crop.padding: expected a whole number, found \"4\""),
        ("random_crop", {"padding": 4, "padding_mode": "zero"}, r"padding_mode: expected one of constant, edge"),
        ("random_resized_crop", {"scale": 0.5}, r"scale: expected two numbers, such as \[0.1, 0.2\], .*found 0.5"),
        ("rotation", {"degrees": True}, r"degrees: expected a number or two"),
        ("random_erasing", {"value": "random"}, r"value: expected a number, found \"random\""),
    ],
)
def test_a_wrong_value_says_what_was_expected(name, arguments, message):
    with pytest.raises(UserError, match=message):
        check_augment({name: arguments}, where="dataset.augment")


@pytest.mark.parametrize(
    ("name", "arguments", "argument"),
    [
        ("affine", {"degrees": -10}, "degrees"),
        ("affine", {"degrees": [10, -10]}, "degrees"),
        ("affine", {"degrees": [1, 2, 3, 4]}, "degrees"),
        ("affine", {"degrees": None}, "degrees"),
        ("affine", {"degrees": 0, "translate": [5, 5]}, "translate"),
        ("affine", {"degrees": 0, "scale": [0, 0]}, "scale"),
        ("affine", {"degrees": 0, "scale": [1.1, 0.9]}, "scale"),
        ("affine", {"degrees": 0, "shear": -1}, "shear"),
        ("affine", {"degrees": 0, "shear": [0, 1, 3, 2]}, "shear"),
        ("rotation", {"degrees": -1}, "degrees"),
        ("random_resized_crop", {"scale": [1.0, 0.5]}, "scale"),
    ],
)
def test_a_value_out_of_its_range_is_named_before_torch_is_there(name, arguments, argument):
    with pytest.raises(UserError, match=rf"^dataset\.augment\.{name}\.{argument}: expected "):
        check_augment({name: arguments}, where="dataset.augment")


@pytest.mark.parametrize("degrees", [0, 10, [-5, 5], [3, 3]])
@pytest.mark.parametrize("shear", [None, 5, [-5, 5], [-5, 5, 0, 2]])
def test_values_in_their_ranges_are_taken_as_torchvision_takes_them(degrees, shear):
    arguments = {"degrees": degrees, "translate": [0, 1], "scale": [0.5, 0.5], "shear": shear}
    check_augment({"affine": arguments}, where="dataset.augment")
    v2.RandomAffine(**arguments)
    assert Augment({"affine": arguments}, (8, 8))(random_images(2, 1, 8, 8), seeds=seeds_of(2)).shape == (2, 1, 8, 8)


def test_a_value_that_torchvision_refuses_is_an_error_of_the_users():
    with pytest.raises(UserError, match=r"dataset.augment.gaussian_blur: .*"):
        Augment({"gaussian_blur": {"kernel_size": 4}}, (8, 8))


def test_checking_needs_no_torch():
    code = (
        "import sys; from visionkit.data.sources import read_source\n"
        "read_source({'type': 'digits', 'image_size': 32, 'augment': {'affine': {'degrees': 5}}}).check()\n"
        "print('torch' in sys.modules, 'sklearn' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
