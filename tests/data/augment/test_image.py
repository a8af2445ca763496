import dataclasses
import inspect
import subprocess
import sys

import pytest
import torch
from torchvision.transforms import v2

from tests.helpers.augments import WHERE, augment, names_for
from tests.helpers.batches import seeds_of
from visionkit.data.augment.image import build_transform
from visionkit.data.augment.parsing import check_targets, parse_augments
from visionkit.data.augment.spec import AUGMENTATIONS
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
    assert set(EXAMPLES) == names_for("label")


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_gives_uint8_images_of_the_size_and_the_same_ones_for_the_same_seed(name, channels):
    change = augment({name: EXAMPLES[name]}, (24, 20))
    images = random_images(6, channels, 24, 20)
    first, again, other = (change(images.clone(), seeds=seeds_of(6, seed=seed)) for seed in (1, 1, 2))
    assert first.shape == (6, channels, 24, 20)
    assert first.dtype == torch.uint8
    assert torch.equal(first, again)
    if name != "grayscale" or channels == 3:
        assert not torch.equal(first, images)
    assert name == "grayscale" or not torch.equal(first, other)


def test_each_image_has_a_draw_of_its_own():
    images = random_images(1, 3, 16, 16).expand(16, -1, -1, -1)
    changed = augment({"random_resized_crop": {}}, (16, 16))(images, seeds=seeds_of(16))
    assert len({tuple(image.flatten().tolist()) for image in changed}) > 8


def test_torchs_own_random_state_is_left_as_it_was():
    before = torch.get_rng_state()
    augment({"horizontal_flip": {}, "color_jitter": {"brightness": 0.5}}, (8, 8))(
        random_images(4, 3, 8, 8), seeds=seeds_of(4)
    )
    assert torch.equal(torch.get_rng_state(), before)


def test_a_resized_crop_takes_images_of_any_size():
    crop = augment({"random_resized_crop": {"scale": [0.5, 1.0]}, "horizontal_flip": {}}, (12, 10))
    assert crop.wants_original
    images = [random_images(3, 30, 20), random_images(3, 9, 50)]
    assert crop(images, seeds=seeds_of(2)).shape == (2, 3, 12, 10)


def test_a_name_whose_value_is_null_is_left_out():
    nothing = augment({"horizontal_flip": None, "random_resized_crop": None}, (8, 8))
    assert not nothing
    assert not nothing.wants_original


def test_an_unknown_name_gets_the_nearest_one():
    with pytest.raises(
        UserError, match=r"augment: no augmentation is called 'horizontal_flop'.*mean 'horizontal_flip'"
    ):
        parse_augments({"horizontal_flop": {}}, where=WHERE)


def test_an_unknown_argument_gets_the_nearest_one():
    with pytest.raises(UserError, match=r"augment.random_crop: unknown key 'pading'. Did you mean 'padding'"):
        parse_augments({"random_crop": {"pading": 4}}, where=WHERE)


def test_a_missing_argument_is_named():
    with pytest.raises(UserError, match=r"augment.affine.degrees: this key is required"):
        parse_augments({"affine": {"scale": [0.9, 1.1]}}, where=WHERE)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("horizontal_flip", {"p": 2}, r"horizontal_flip.p: expected a number from 0 to 1, found 2"),
        ("random_crop", {"padding": "4"}, r"random_crop.padding: expected a whole number, found \"4\""),
        ("random_crop", {"padding": 4, "padding_mode": "zero"}, r"padding_mode: expected 'constant', 'edge'"),
        ("random_resized_crop", {"scale": 0.5}, r"scale: expected two numbers, such as \[0.1, 0.2\], .*found 0.5"),
        ("rotation", {"degrees": True}, r"degrees: expected a number or two"),
        ("random_erasing", {"value": "random"}, r"value: expected a number, found \"random\""),
    ],
)
def test_a_wrong_value_says_what_was_expected(name, arguments, message):
    with pytest.raises(UserError, match=message):
        parse_augments({name: arguments}, where=WHERE)


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
        parse_augments({name: arguments}, where=WHERE)


@pytest.mark.parametrize("degrees", [0, 10, [-5, 5], [3, 3]])
@pytest.mark.parametrize("shear", [None, 5, [-5, 5], [-5, 5, 0, 2]])
def test_values_in_their_ranges_are_taken_as_torchvision_takes_them(degrees, shear):
    arguments = {"degrees": degrees, "translate": [0, 1], "scale": [0.5, 0.5], "shear": shear}
    v2.RandomAffine(**arguments)
    assert augment({"affine": arguments}, (8, 8))(random_images(2, 1, 8, 8), seeds=seeds_of(2)).shape == (2, 1, 8, 8)


def _torchvisions_default(cls, argument):
    default = inspect.signature(cls).parameters[argument].default
    return 0 if (argument, default) == ("padding", None) else default


@pytest.mark.parametrize("name", sorted(set(AUGMENTATIONS.names()) - {"copy_paste", "mixup", "mosaic"}))
def test_what_is_not_given_is_torchvisions_default(name):
    spec = AUGMENTATIONS.get(name)
    cls = AUGMENTATIONS.module_of(spec)
    assert cls.__module__.startswith("torchvision.transforms.v2")
    for field in dataclasses.fields(spec):
        default = _torchvisions_default(cls, field.name)
        assert field.default == (dataclasses.MISSING if default is inspect.Parameter.empty else default), field.name


def test_arguments_reach_the_class():
    (spec,) = parse_augments({"random_crop": {"padding": 3, "padding_mode": "edge"}}, where=WHERE)
    made = build_transform(spec, (8, 9))
    assert isinstance(made, v2.RandomCrop)
    assert (made.size, made.padding, made.padding_mode) == ((8, 9), [3] * 4, "edge")


def test_what_supports_no_target_of_the_data_set_is_named_with_what_does():
    augments = parse_augments({"iou_crop": {}}, where=WHERE)
    with pytest.raises(UserError, match=r"'iou_crop' changes images with boxes, but .* labels. Expected some of aff"):
        check_targets(augments, where=WHERE, targets=("label",))
    check_targets(augments, where=WHERE, targets=("label", "boxes"))


@pytest.mark.parametrize("values", [["affine"], "affine", 3])
def test_anything_but_a_mapping_is_refused(values):
    with pytest.raises(UserError, match=r"^dataset.augment: expected a mapping of augmentations to arguments, found"):
        parse_augments(values, where=WHERE)


def test_a_value_that_torchvision_refuses_is_an_error_of_the_users():
    with pytest.raises(UserError, match=r"dataset.augment.gaussian_blur: .*"):
        augment({"gaussian_blur": {"kernel_size": 4}}, (8, 8))


def test_checking_needs_no_torch():
    code = (
        "import sys; from visionkit.data.sources import read_source\n"
        "read_source({'type': 'digits', 'image_size': 32, 'augment': {'affine': {'degrees': 5}}}).check()\n"
        "print('torch' in sys.modules, 'sklearn' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_a_blur_of_height_and_width_spreads_a_point_over_so_many_rows_and_columns():
    point = torch.zeros(1, 1, 21, 21, dtype=torch.uint8)
    point[..., 10, 10] = 255
    blurred = augment({"gaussian_blur": {"kernel_size": [9, 1], "sigma": [3.0, 3.0]}}, (21, 21))(
        point, seeds=seeds_of(1)
    )
    assert ((blurred[0, 0].sum(dim=1) > 0).sum(), (blurred[0, 0].sum(dim=0) > 0).sum()) == (9, 1)
