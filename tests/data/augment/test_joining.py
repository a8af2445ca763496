"""Images joined with others, and their boxes and masks."""

import numpy
import pytest
import torch
from torchvision.ops import masks_to_boxes

from tests.helpers.augments import WHERE, joint_augment, names_for
from tests.helpers.batches import seeds_of
from visionkit.data.augment.joining import CopyPaste, Mixup, Mosaic
from visionkit.data.augment.joining_spec import JoiningSpec
from visionkit.data.augment.joint import sanitize_boxes
from visionkit.data.augment.parsing import check_targets, parse_augments
from visionkit.data.augment.partners import Partners
from visionkit.data.augment.spec import AUGMENTATIONS
from visionkit.data.transforms import InputTransform
from visionkit.errors import UserError
from visionkit.structures.class_ids import IGNORE_INDEX

SIZE = (48, 64)
TRANSFORM = InputTransform(SIZE, "letterbox")


def scene(label, *, size=(40, 60), dtype=torch.uint8):
    """Two squares of the brightness of their label, 20 apart in each other scene, with their masks."""
    boxes = torch.tensor([[4.0, 6.0, 22.0, 26.0], [30.0, 12.0, 54.0, 34.0]])
    masks = torch.zeros(2, *size, dtype=torch.uint8)
    image = torch.zeros(3, *size, dtype=dtype)
    for number, (left, top, right, bottom) in enumerate(boxes.int().tolist()):
        masks[number, top:bottom, left:right] = 1
        image[:, top:bottom, left:right] = 40 * (2 * label + number + 1) // 2
    return {"image": image, "boxes": boxes, "labels": torch.tensor([2 * label, 2 * label + 1]), "masks": masks}


def street(seed, *, size=(40, 60)):
    """Pixels that are ten times their class."""
    generator = torch.Generator().manual_seed(seed)
    mask = torch.randint(0, 5, (size[0] // 4, size[1] // 4), dtype=torch.uint8, generator=generator)
    mask = mask.repeat_interleave(4, 0).repeat_interleave(4, 1)
    return {"image": (10 * mask)[None].repeat(3, 1, 1), "mask": mask}


def joined(join, samples, *, seed=0):
    torch.manual_seed(seed)
    return join(samples)


def brightness_of(label):
    return 40 * (label + 1) // 2


@pytest.fixture
def mosaic():
    return Mosaic(scale_range=(0.5, 1.5), fill=114.0, transform=TRANSFORM)


def test_boxes_and_masks_of_a_mosaic_lie_on_their_objects(mosaic):
    for seed in range(20):
        made = sanitize_boxes(joined(mosaic, [scene(number) for number in range(4)], seed=seed))
        assert made["image"].shape == (3, *SIZE)
        assert 0 < len(made["labels"]) <= 8
        outlines = masks_to_boxes(made["masks"])
        outlines[:, 2:] += 1
        # the nearest pixel of the resized mask, and so of its edge, is half a pixel away at most, of both edges one
        assert (outlines - made["boxes"]).abs().max() <= 1
        for box, label in zip(made["boxes"], made["labels"].tolist(), strict=True):
            left, top, right, bottom = box.tolist()
            assert made["image"][0, int((top + bottom) / 2), int((left + right) / 2)] == brightness_of(label)


def test_a_mosaic_of_images_at_their_size_is_made_of_their_corners():
    mosaic = Mosaic(scale_range=(1.0, 1.0), fill=7.0, transform=InputTransform((40, 60), "letterbox"))
    samples = [street(number) for number in range(4)]
    made = joined(mosaic, samples)
    fits = [
        (row, column)
        for row in range(10, 31)
        for column in range(15, 46)
        if torch.equal(made["image"][:, :row, :column], samples[0]["image"][:, 40 - row :, 60 - column :])
        and torch.equal(made["image"][:, :row, column:], samples[1]["image"][:, 40 - row :, : 60 - column])
        and torch.equal(made["image"][:, row:, :column], samples[2]["image"][:, : 40 - row, 60 - column :])
        and torch.equal(made["image"][:, row:, column:], samples[3]["image"][:, : 40 - row, : 60 - column])
    ]
    assert len(fits) == 1
    assert torch.equal(made["image"][0], 10 * made["mask"])


def test_what_no_image_of_a_mosaic_covers_is_filled_and_ignored():
    mosaic = Mosaic(scale_range=(0.5, 0.5), fill=114.0, transform=TRANSFORM)
    made = joined(mosaic, [street(number) for number in range(4)])
    ignored = made["mask"] == IGNORE_INDEX
    assert 0.1 < ignored.float().mean() < 0.9
    assert torch.equal(made["image"][0] == 114, ignored)


def test_a_mosaic_leaves_out_objects_of_which_little_is_visible(mosaic):
    counts = []
    for seed in range(30):
        made = joined(mosaic, [scene(number) for number in range(4)], seed=seed)
        sides = made["boxes"][:, 2:] - made["boxes"][:, :2]
        assert (sides.prod(dim=1) >= 0.2 * 0.5**2 * 18 * 20).all()  # of the smaller square at the smallest scale
        counts.append(len(sides))
    assert min(counts) < 8


@pytest.mark.parametrize(("mode", "size"), [("resize_pad", (48, 72)), ("letterbox", SIZE), ("resize", SIZE)])
def test_a_mosaic_has_the_size_of_a_batch(mode, size):
    mosaic = Mosaic(scale_range=(0.5, 1.5), fill=0.0, transform=InputTransform(SIZE, mode, max_size=200))
    assert joined(mosaic, [scene(number) for number in range(4)])["image"].shape == (3, *size)


def test_pasted_objects_cover_what_lies_below_them():
    paste = CopyPaste(share=1.0)
    below, above = scene(0), scene(1, size=(40, 60))
    made = joined(paste, [below, above])
    # of equal size, so that each lies where it lay: the second pair covers the first
    assert made["labels"].tolist() == [2, 3]
    assert torch.equal(made["image"], above["image"])
    assert torch.equal(made["masks"], above["masks"])


def test_what_is_partly_covered_keeps_the_rest_of_its_mask_and_a_box_around_it():
    below, above = scene(0), scene(1)
    above["masks"] = torch.zeros_like(above["masks"])
    above["masks"][0, 6:26, 4:14] = 1
    above["masks"][1, 0:3, 0:3] = 1
    above["boxes"] = torch.tensor([[4.0, 6.0, 14.0, 26.0], [0.0, 0.0, 3.0, 3.0]])
    made = joined(CopyPaste(share=1.0), [below, above])
    assert made["labels"].tolist() == [0, 1, 2, 3]
    assert made["boxes"][:2].tolist() == [[14, 6, 22, 26], [30, 12, 54, 34]]
    assert torch.equal(made["masks"][0], below["masks"][0] * (1 - above["masks"][0]))
    region = above["masks"].amax(0).bool()
    assert torch.equal(made["image"], torch.where(region, above["image"], below["image"]))


def test_each_object_is_pasted_with_a_probability():
    nothing = joined(CopyPaste(share=0.0), [scene(0), scene(1)])
    assert torch.equal(nothing["image"], scene(0)["image"])
    assert nothing["labels"].tolist() == [0, 1]
    made = [joined(CopyPaste(share=0.5), [scene(2), scene(1)], seed=seed)["labels"] for seed in range(200)]
    assert all(len(labels) == 2 for labels in made)  # each that is pasted covers the one of its place
    assert 160 < sum(int((labels < 4).sum()) for labels in made) < 240  # four standard deviations of 10


def test_classes_of_a_mask_are_pasted_whole():
    own, other = street(0), street(1)
    made = joined(CopyPaste(share=0.5), [own, other], seed=3)
    pasted = made["mask"] != own["mask"]
    classes = other["mask"][pasted].unique()
    assert 0 < len(classes) < 5
    region = torch.isin(other["mask"], classes)
    assert torch.equal(made["mask"], torch.where(region, other["mask"], own["mask"]))
    assert torch.equal(made["image"][0], 10 * made["mask"])


def test_a_pasted_image_of_another_size_lies_at_a_random_place_within():
    places = set()
    for seed in range(20):
        small = {**scene(1, size=(36, 56)), "image": torch.full((3, 36, 56), 200, dtype=torch.uint8)}
        made = joined(CopyPaste(share=1.0), [scene(0), small], seed=seed)
        box = made["boxes"][made["labels"] == 3][0]
        places.add(tuple(box[:2].tolist()))
        assert (box[2:] - box[:2]).tolist() == [24, 22]
        row, column = int(box[1]), int(box[0])
        assert bool((made["image"][:, row, column] == 200).all())
    assert len(places) > 5


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_a_blend_has_a_share_of_both_images_and_the_objects_of_both(dtype):
    own, other = scene(0, dtype=dtype), scene(1, dtype=dtype)
    made = joined(Mixup(alpha=8.0, fill=114.0), [own, other])
    torch.manual_seed(0)
    torch.randint(1, ())
    torch.randint(1, ())
    share = float(torch.distributions.Beta(8.0, 8.0).sample())
    expected = share * own["image"].double() + (1 - share) * other["image"].double()
    assert made["image"].dtype == dtype
    # half a grey level of rounding
    assert (made["image"].double() - expected).abs().max() <= (0.5 if dtype == torch.uint8 else 1e-4)
    assert made["labels"].tolist() == [0, 1, 2, 3]
    assert torch.equal(made["boxes"], torch.cat([own["boxes"], other["boxes"]]))
    assert torch.equal(made["masks"], torch.cat([own["masks"], other["masks"]]))


@pytest.mark.parametrize("join", [CopyPaste(share=1.0), Mixup(alpha=1.0, fill=0.0)])
def test_images_without_objects_are_joined_too(join):
    empty = {name: value[:0] for name, value in scene(0).items() if name != "image"}
    empty["image"] = torch.full((3, 40, 60), 9, dtype=torch.uint8)
    assert joined(join, [empty, scene(1)])["labels"].tolist() == [2, 3]
    assert joined(join, [scene(1), empty])["labels"].tolist() == [2, 3]
    assert joined(join, [empty, empty])["boxes"].shape == (0, 4)


def specs(**values):
    return Partners([spec for spec in parse_augments(values, where=WHERE) if isinstance(spec, JoiningSpec)])


def drawn(partners, count=400, *, num_samples=10, seed=0, progress=0.0):
    indices = numpy.arange(count) % num_samples
    return partners.draw(indices, seeds_of(count, seed=seed), num_samples=num_samples, progress=progress)


def test_partners_are_other_images_drawn_alike():
    found = drawn(specs(mosaic={}), 4000)
    assert all(len(others) == 3 and index % 10 not in others for index, (others,) in enumerate(found))
    counts = numpy.bincount([other for ((*others,),) in found for other in others], minlength=10)
    assert counts.min() > 1050  # of 1200 each, four standard deviations of 33
    assert counts.max() < 1350


def test_partners_depend_on_the_seed_of_the_image_alone():
    every = specs(mosaic={"p": 0.5}, mixup={}, copy_paste={})
    found = drawn(every)
    indices = numpy.arange(400) % 10
    parts = [every.draw(indices[r::2], seeds_of(400)[r::2], num_samples=10, progress=0.0) for r in range(2)]
    assert [parts[number % 2][number // 2] for number in range(400)] == found
    assert drawn(every, seed=1) != found


def test_an_image_is_joined_with_a_probability():
    found = drawn(specs(mosaic={"p": 0.25}), 1000)
    assert 195 < sum(bool(others) for (others,) in found) < 305  # four standard deviations of 14


def test_the_last_share_of_the_epochs_joins_nothing():
    partners = specs(mosaic={"off_last": 0.2}, mixup={"p": 1.0, "off_last": 0.1})
    kinds = [
        (found is not None and bool(found[0][0]), found is not None and bool(found[0][1]))
        for found in (drawn(partners, 1, progress=epoch / 10) for epoch in range(10))
    ]
    assert kinds == [(True, True)] * 8 + [(False, True), (False, False)]


def test_a_single_image_has_none_to_be_joined_with():
    assert drawn(specs(mosaic={}), 1, num_samples=1) is None


def test_an_unjoined_image_is_augmented_as_without_joining():
    sample, seeds = scene(0), seeds_of(1)
    alone = joint_augment({"zoom_out": {}, "horizontal_flip": {}}, TRANSFORM)
    joining = joint_augment({"zoom_out": {}, "mosaic": {}, "copy_paste": {}, "horizontal_flip": {}}, TRANSFORM)
    (expected,) = alone([sample], seeds=seeds)
    for partners in (None, [[[], []]]):
        (found,) = joining([sample], seeds=seeds, partners=partners)
        assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_what_precedes_is_applied_to_all_and_what_follows_to_the_whole():
    flipped = joint_augment({"mosaic": {"scale_range": [1.0, 1.0]}, "horizontal_flip": {"p": 1.0}}, TRANSFORM)
    plain = joint_augment({"mosaic": {"scale_range": [1.0, 1.0]}}, TRANSFORM)
    others = [[[scene(number) for number in range(1, 4)]]]
    (one,), (other,) = (each([scene(0)], seeds=seeds_of(1), partners=others) for each in (flipped, plain))
    assert torch.equal(one["image"], other["image"].flip(-1))
    assert plain.wants_original
    assert not joint_augment({"mixup": {}, "copy_paste": {}}, TRANSFORM).wants_original


def test_every_joining_augmentation_says_what_it_keeps_true():
    joining = {name for name in AUGMENTATIONS.names() if issubclass(AUGMENTATIONS.get(name), JoiningSpec)}
    assert joining == {"mosaic", "mixup", "copy_paste"}
    assert joining & names_for("boxes") == {"mosaic", "mixup"}
    assert joining & names_for("instances") == joining
    assert joining & names_for("mask") == {"mosaic", "copy_paste"}


def test_mixup_of_labels_names_the_recipes():
    with pytest.raises(UserError, match=r"'mixup' changes images with boxes, .*Labels are mixed by recipe.mix"):
        check_targets(parse_augments({"mixup": {}}, where=WHERE), where=WHERE, targets=("label",))


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("mosaic", {"p": 2}, r"mosaic.p: expected a number from 0 to 1, found 2"),
        ("mosaic", {"scale_range": [2, 1]}, r"mosaic.scale_range: expected two numbers.*smaller one first"),
        ("copy_paste", {"off_last": -1}, r"copy_paste.off_last: expected a number from 0 to 1"),
        ("mixup", {"alpha": 0}, r"mixup.alpha: expected a number greater than 0"),
    ],
)
def test_a_wrong_value_says_what_was_expected(name, arguments, message):
    with pytest.raises(UserError, match=message):
        parse_augments({name: arguments}, where=WHERE)
