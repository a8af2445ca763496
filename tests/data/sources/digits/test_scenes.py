import numpy
import pytest
import torch

from tests.helpers.settings import scene_settings
from visionkit.data.sources import parse_source, read_source
from visionkit.data.sources.digits.scenes import compose
from visionkit.errors import UserError


@pytest.fixture
def make_scenes(settings):
    """The source of scenes, with some of the keys under ``scenes`` changed."""

    def make(image_size=None, **changes):
        scenes = {**settings("digits")["scenes"], "train": 12, "val": 5, "test": 4, **changes}
        return parse_source(settings("digits", image_size=image_size, scenes=scenes)).for_target("boxes")

    return make


@pytest.fixture(scope="module")
def digits():
    pixels, labels, chosen = read_source({"type": "digits", "image_size": None}).load_digits_with_splits()
    return pixels[chosen["val"]], labels[chosen["val"]]


def boxes_of(source, split="train"):
    return source.splits(seed=0).samples[split].annotations.objects.boxes


def test_single_digits_serve_labels_and_scenes_serve_boxes(settings):
    digits = parse_source(settings("digits"))
    assert digits.for_target("label") is digits
    assert (digits.info().image_size, digits.for_target("boxes").info().image_size) == ((32, 32), (128, 128))
    assert digits.for_target("mask").info().image_size == (96, 96)
    assert digits.for_target("boxes").name == "digits"
    assert digits.for_target("boxes").info().num_classes == 10


def test_another_size_serves_both(settings):
    digits = parse_source(settings("digits", image_size=64))
    assert digits.info().image_size == digits.for_target("boxes").info().image_size == (64, 64)
    samples = digits.for_target("boxes").splits(seed=0).samples["val"]
    assert samples.image(0).shape == (1, 64, 64)


def test_scenes_have_the_digits_of_their_own_split_alone(make_scenes, digits):
    chosen = make_scenes().load_digits_with_splits()[2]
    assert not set(chosen["train"]) & set(chosen["val"])
    made = compose(*digits, make_scenes().scenes, split="val", index=2, size=(128, 128))
    assert numpy.array_equal(made.image, make_scenes().splits(seed=0).samples["val"].image(2)[0].numpy())


def test_a_scene_is_the_same_whatever_the_number_of_scenes_and_the_runs_seed(make_scenes):
    few, many = make_scenes(train=3).splits(seed=0), make_scenes(train=9).splits(seed=7)
    for index in range(3):
        one, other = few.samples["train"], many.samples["train"]
        assert torch.equal(one.image(index), other.image(index))
        assert numpy.array_equal(one.annotation(index).boxes, other.annotation(index).boxes)
    assert few.samples["train"].name(2) == "scenes/train/2"


def test_another_seed_of_the_composition_makes_other_scenes(make_scenes):
    one, other = (make_scenes(seed=seed).splits(seed=0).samples["train"].image(0) for seed in (0, 1))
    assert not torch.equal(one, other)


def test_boxes_lie_in_the_scene_and_are_tight_around_the_ink(digits):
    scenes = scene_settings(overlap=0.0, clutter=0, count=(3, 3))
    for index in range(10):
        scene = compose(*digits, scenes, split="val", index=index, size=(96, 160))
        for number, (left, top, right, bottom) in enumerate(scene.boxes.astype(int), start=1):
            rows, columns = numpy.nonzero(scene.instances == number)
            assert (left, top, right, bottom) == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        assert scene.boxes.min() >= 0
        assert (scene.boxes <= [160, 96, 160, 96]).all()


def test_every_pixel_of_a_digit_is_brighter_than_the_ground(digits):
    scene = compose(*digits, scene_settings(clutter=0), split="val", index=0, size=(128, 128))
    assert scene.image[scene.instances > 0].min() >= 64
    outside = scene.image.copy()
    for left, top, right, bottom in scene.boxes.astype(int):
        outside[top:bottom, left:right] = 0
    assert outside.max() < 20 + 64  # noise, and the blur at a stroke's edge


def test_the_heights_of_digits_follow_the_setting(make_scenes):
    boxes = boxes_of(make_scenes(digit_size=[0.5, 0.5], count=[1, 1], train=50))
    heights = boxes[:, 3] - boxes[:, 1]
    assert float(heights.max()) <= 64
    assert float(heights.min()) >= 48  # the blur at the upper and lower edge is cut off


def test_the_number_of_digits_follows_the_setting(make_scenes):
    samples = make_scenes(count=[2, 4], train=60).splits(seed=0).samples["train"]
    assert {len(samples.annotation(i)) for i in range(60)} == {2, 3, 4}


@pytest.mark.parametrize("overlap", [0.0, 0.3])
def test_boxes_overlap_no_more_than_allowed(make_scenes, overlap):
    samples = make_scenes(count=[6, 6], overlap=overlap, train=40).splits(seed=0).samples["train"]
    largest = 0.0
    for index in range(40):
        boxes = torch.from_numpy(samples.annotation(index).boxes)
        common = torch.minimum(boxes[:, None, 2:], boxes[None, :, 2:]) - torch.maximum(
            boxes[:, None, :2], boxes[None, :, :2]
        )
        shares = common.clamp(min=0).prod(-1) / torch.minimum(*torch.meshgrid(*[_areas(boxes)] * 2, indexing="ij"))
        largest = max(largest, float(shares.fill_diagonal_(0).max()))
    assert largest <= overlap
    assert largest > overlap - 0.1


def _areas(boxes):
    return (boxes[:, 2:] - boxes[:, :2]).prod(-1)


def test_clutter_adds_ink_but_no_box(digits):
    plain, cluttered = (
        compose(*digits, scene_settings(clutter=clutter, count=(1, 1)), split="val", index=1, size=(128, 128))
        for clutter in (0, 40)
    )
    assert numpy.array_equal(plain.boxes, cluttered.boxes)
    assert (cluttered.image > 60).sum() > (plain.image > 60).sum()
    assert numpy.array_equal(plain.instances, cluttered.instances)


@pytest.mark.slow
def test_the_yaml_holds_the_mean_and_deviation_of_the_training_scenes(settings):
    source = parse_source(settings("digits")).for_target("boxes")
    pixels = source.splits(seed=0).samples["train"].images / 255
    info = source.info()
    assert abs(info.mean[0] - float(pixels.mean())) < 5e-4  # four digits are written
    assert abs(info.std[0] - float(pixels.std())) < 5e-4


def test_digits_too_small_to_be_read_name_a_size_that_works(make_scenes):
    with pytest.raises(UserError, match=r"scenes of 32x32 the smallest digits are 5.1 pixels.*dataset.image_size=50"):
        make_scenes(image_size=32).check()
    assert make_scenes(image_size=50).check() is None


@pytest.mark.parametrize(("key", "value"), [("digit_size", [0.4, 0.2]), ("count", [5, 2])])
def test_numbers_the_wrong_way_round_are_named(make_scenes, key, value):
    with pytest.raises(UserError, match=rf"dataset.scenes.{key}: expected the smaller number first, found"):
        make_scenes(**{key: value})


def test_an_unknown_key_of_scenes_gets_the_nearest_one(make_scenes):
    with pytest.raises(UserError, match=r"dataset.scenes: unknown key 'cluter'. Did you mean 'clutter'"):
        make_scenes(cluter=3)


def test_a_change_that_cannot_move_boxes_is_refused(make_scenes):
    with pytest.raises(UserError, match=r"dataset.scenes.augment: 'random_crop' changes images with labels, but this"):
        make_scenes(augment={"random_crop": {"padding": 4}})


def test_masks_hold_the_class_of_each_pixel_and_instances_the_pixels_of_each_digit(settings, digits):
    changes = {"scenes": {**settings("digits")["scenes"], "train": 3, "val": 6, "test": 2}, "image_size": 128}
    source = parse_source(settings("digits", **changes))
    served = {target: source.for_target(target) for target in ("mask", "instances")}
    assert served["mask"].info().class_names == ("background", *"0123456789")
    assert served["instances"].info().class_names == tuple("0123456789")
    samples = {target: served[target].splits(seed=0).samples["val"] for target in served}
    for index in range(6):
        scene = compose(*digits, served["mask"].scenes, split="val", index=index, size=(128, 128))
        objects, mask = samples["instances"].annotation(index), samples["mask"].mask(index).numpy()
        bits = objects.masks(128, 128)
        assert torch.equal(samples["mask"].image(index), samples["instances"].image(index))
        assert objects.labels.tolist() == scene.labels.tolist()
        assert objects.area.tolist() == bits.sum((1, 2)).tolist()
        for number, label in enumerate(scene.labels):
            assert numpy.array_equal(bits[number] == 1, scene.instances == number + 1)
            assert (mask[bits[number] == 1] == label + 1).all()
        assert numpy.array_equal(mask == 0, scene.instances == 0)


def test_changes_that_cannot_move_masks_are_refused_when_masks_are_wanted(settings):
    scenes = {**settings("digits")["scenes"], "augment": {"iou_crop": {}}}
    source = parse_source(settings("digits", scenes=scenes))
    assert source.for_target("instances").check() is None
    with pytest.raises(UserError, match=r"dataset.scenes.augment: 'iou_crop' changes images with boxes, but .* masks"):
        source.for_target("mask")
