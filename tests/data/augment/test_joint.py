import pytest
import torch
from torchvision.transforms import v2

from tests.helpers.augments import WHERE, joint_augment, names_for
from tests.helpers.batches import seeds_of
from visionkit.data.augment.joint import sanitize_boxes
from visionkit.data.augment.parsing import parse_augments
from visionkit.data.transforms import InputTransform
from visionkit.errors import UserError

EXAMPLES = {
    "scale_jitter": {"scale_range": [0.3, 1.7]},
    "iou_crop": {"min_scale": 0.3, "max_scale": 1.0, "min_aspect_ratio": 0.5, "max_aspect_ratio": 2.0},
    "zoom_out": {"fill": 0, "side_range": [1.0, 3.0], "p": 1.0},
    "photometric_distort": {"brightness": [0.5, 1.5], "hue": [-0.05, 0.05], "p": 1.0},
    "horizontal_flip": {"p": 0.5},
    "vertical_flip": {},
    "rotation": {"degrees": 15},
    "affine": {"degrees": 10, "translate": [0.1, 0.1], "scale": [0.9, 1.1], "shear": 5},
    "perspective": {"distortion_scale": 0.3, "p": 1.0},
    "color_jitter": {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1},
    "grayscale": {"p": 1.0},
    "gaussian_blur": {"kernel_size": 3, "sigma": [0.1, 2.0]},
}
SIZE = (64, 80)


def squares(height: int = 60, width: int = 90, channels: int = 3) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Bright squares on black; their boxes; labels by which one tells them apart."""
    boxes = torch.tensor([[5.0, 5.0, 25.0, 25.0], [50.0, 10.0, 80.0, 50.0], [30.0, 40.0, 45.0, 55.0]])
    image = torch.zeros(channels, height, width, dtype=torch.uint8)
    for number, (left, top, right, bottom) in enumerate(boxes.int().tolist()):
        image[:, top:bottom, left:right] = 100 + 50 * number
    return image, boxes, torch.tensor([0, 1, 2])


def run(augment, mode="letterbox", seed=0, times=8, objects=None):
    made = joint_augment(augment, InputTransform(SIZE, mode, max_size=120))
    sample = dict(zip(("image", "boxes", "labels"), objects or squares(), strict=True))
    return [tuple(sanitize_boxes(each).values()) for each in made([sample] * times, seeds=seeds_of(times, seed=seed))]


def test_every_augmentation_that_moves_boxes_has_an_example():
    joining = {"mosaic", "mixup"}  # see test_joining.py
    assert set(EXAMPLES) == names_for("boxes") - joining


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("mode", ["letterbox", "resize_pad", "resize"])
@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_gives_images_of_the_batchs_size_with_boxes_inside_and_the_same_for_the_same_seed(name, mode, channels):
    augment = {name: EXAMPLES[name]}
    transform = InputTransform(SIZE, mode, max_size=120)
    first = run(augment, mode, objects=squares(channels=channels))
    again = run(augment, mode, objects=squares(channels=channels))
    for (image, boxes, labels), (image_2, boxes_2, labels_2) in zip(first, again, strict=True):
        limit = SIZE if mode != "resize_pad" else transform.fitted_size(60, 90)
        if name in ("scale_jitter", "iou_crop", "zoom_out"):
            assert all(side <= most for side, most in zip(image.shape[-2:], (120, 120), strict=True))
        else:
            assert image.shape == (channels, *transform.fitted_size(60, 90))
        assert mode == "resize_pad" or all(side <= most for side, most in zip(image.shape[-2:], limit, strict=True))
        assert image.dtype == torch.uint8
        assert type(image) is type(boxes) is torch.Tensor
        assert boxes.shape == (len(labels), 4)
        assert (boxes >= 0).all()
        assert (boxes <= torch.tensor(image.shape[-2:]).flip(0).repeat(2)).all()
        assert ((boxes[:, 2:] - boxes[:, :2]) >= 1).all()
        assert torch.equal(image, image_2)
        assert torch.equal(boxes, boxes_2)
        assert torch.equal(labels, labels_2)


@pytest.mark.parametrize("name", ["horizontal_flip", "vertical_flip", "scale_jitter", "iou_crop", "zoom_out"])
def test_boxes_stay_on_their_objects(name):
    for image, boxes, labels in run({name: {**EXAMPLES[name], "p": 1.0} if "flip" in name else EXAMPLES[name]}):
        for (left, top, right, bottom), label in zip(boxes.tolist(), labels.tolist(), strict=True):
            middle = image[0, int((top + bottom) / 2), int((left + right) / 2)]
            assert abs(int(middle) - (100 + 50 * label)) <= 2


def test_a_flip_is_torchvisions():
    image, boxes, labels = squares()
    (made,) = run({"horizontal_flip": {"p": 1.0}}, times=1)
    fitted = InputTransform(SIZE, "letterbox").fit(image)
    assert torch.equal(made[0], fitted.flip(-1))
    scale = torch.tensor([80 / 90, 53 / 60]).repeat(2)
    expected = torch.stack([90 - boxes[:, 2], boxes[:, 1], 90 - boxes[:, 0], boxes[:, 3]], 1) * scale
    assert torch.allclose(made[1], expected, atol=1e-5)
    assert torch.equal(made[2], labels)


def test_each_image_has_a_draw_of_its_own_and_another_seed_draws_otherwise():
    first, other = (run({"scale_jitter": {"scale_range": [0.2, 1.8]}}, seed=seed) for seed in (0, 1))
    shapes = [[tuple(image.shape) for image, _, _ in made] for made in (first, other)]
    assert len(set(shapes[0])) > 3
    assert shapes[0] != shapes[1]


def test_torchs_own_random_state_is_left_as_it_was():
    before = torch.get_rng_state()
    run({"iou_crop": {}, "horizontal_flip": {}})
    assert torch.equal(torch.get_rng_state(), before)


def test_a_crop_keeps_objects_and_leaves_out_those_whose_middle_it_cuts_off():
    kept = [len(labels) for _, _, labels in run({"iou_crop": {}}, times=40)]
    assert min(kept) >= 1
    assert min(kept) < 3


def test_a_jitter_leaves_out_objects_of_which_little_remains():
    made = run({"scale_jitter": {"scale_range": [2.0, 2.0]}}, mode="resize", times=40)
    assert all(image.shape == (3, *SIZE) for image, _, _ in made)
    sides = torch.tensor([SIZE[1] / 90, SIZE[0] / 60]) * 2
    full = {0: 400, 1: 1200, 2: 225}
    for _, boxes, labels in made:
        for box, label in zip(boxes, labels.tolist(), strict=True):
            share = float((box[2:] - box[:2]).prod() / (full[label] * sides.prod()))
            assert share >= 0.19  # of 0.2, after rounding
    assert min(len(labels) for _, _, labels in made) < 3


def test_what_cuts_or_extends_wants_the_original_and_colours_do_not():
    transform = InputTransform(SIZE, "letterbox")
    for name in ("iou_crop", "zoom_out", "scale_jitter"):
        assert joint_augment({name: {}}, transform).wants_original
    assert not joint_augment({"horizontal_flip": {}, "photometric_distort": {}}, transform).wants_original
    assert not joint_augment({"iou_crop": None}, transform)


@pytest.mark.parametrize("name", ["iou_crop", "zoom_out", "scale_jitter", "affine", "horizontal_flip"])
def test_an_image_without_objects_stays_one(name):
    image, _, _ = squares()
    nothing = (image, torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64))
    for _, boxes, labels in run({name: EXAMPLES[name]}, objects=nothing):
        assert (boxes.shape, labels.shape) == ((0, 4), (0,))


def test_visible_agrees_with_torchvisions_sanitizing():
    generator = torch.Generator().manual_seed(0)
    corners = torch.rand(200, 2, generator=generator) * 100 - 10
    boxes = torch.cat([corners, corners + torch.rand(200, 2, generator=generator) * 6 - 1], 1)
    image = torch.zeros(3, 60, 80)
    found = sanitize_boxes({"image": image, "boxes": boxes, "labels": torch.arange(200)})
    inside = boxes.clamp(min=0).minimum(torch.tensor([80.0, 60.0, 80.0, 60.0]))
    from torchvision.tv_tensors import BoundingBoxes

    expected = v2.SanitizeBoundingBoxes(min_size=1, labels_getter=lambda sample: sample["labels"])(
        {"boxes": BoundingBoxes(inside, format="XYXY", canvas_size=(60, 80)), "labels": torch.arange(200)}
    )
    assert torch.equal(found["labels"], expected["labels"])
    assert torch.equal(found["boxes"], expected["boxes"].as_subclass(torch.Tensor))


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("zoom_out", {"side_range": [0.5, 2]}, r"zoom_out.side_range: expected two numbers from 1 on"),
        ("scale_jitter", {"scale_range": [2, 1]}, r"scale_jitter.scale_range: expected two numbers.*smaller one first"),
        ("iou_crop", {"min_scale": 3}, r"iou_crop.min_scale: expected a number from 0 to 1, found 3"),
    ],
)
def test_a_wrong_value_says_what_was_expected(name, arguments, message):
    with pytest.raises(UserError, match=message):
        parse_augments({name: arguments}, where=WHERE)
