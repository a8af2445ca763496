"""Instances and class masks from COCO's JSON files."""

import json

import numpy
import pytest
import torch
from pycocotools import mask as coco
from pycocotools.coco import COCO

from visionkit.data import VisionDataModule
from visionkit.data.collate.segmentation import SegmentationBatchReader
from visionkit.data.sources import parse_source
from visionkit.errors import UserError

NAMED = "annotations/instances_train2017.json"
TRIANGLE = [2.5, 3, 12.5, 3, 12.5, 15.25]
SQUARE = [20, 4, 30, 4, 30, 14, 20, 14]
PIXELS = int(coco.decode(coco.frPyObjects([TRIANGLE], 30, 40)).sum())
BITS = numpy.asfortranarray(numpy.random.RandomState(0).rand(30, 40) < 0.3).astype(numpy.uint8)
COMPRESSED = coco.encode(BITS)


def runs(bits: numpy.ndarray) -> list[int]:
    """Run lengths, counted pixel by pixel."""
    counts, last = [0], 0
    for value in bits.flatten(order="F").tolist():
        if value != last:
            counts.append(0)
            last = value
        counts[-1] += 1
    return counts


SHAPES = [
    [TRIANGLE],
    [TRIANGLE, SQUARE],
    {"size": [30, 40], "counts": runs(BITS)},
    {"size": [30, 40], "counts": COMPRESSED["counts"].decode()},
]


@pytest.fixture
def make_source(settings):
    def make(root, target="instances", **changes):
        source = parse_source(settings("coco", root=str(root), image_size=32, **changes))
        return source.for_target(target)

    return make


def segment(*shapes):
    """Give the first annotations these segmentations."""

    def change(content):
        for annotation, shape in zip(content["annotations"], shapes, strict=False):
            annotation["segmentation"] = shape

    return change


def train(source):
    return source.splits(seed=0).samples["train"]


def test_the_pixels_of_objects_are_those_of_pycocotools(make_source, make_coco, capsys):
    root = make_coco({"train": 4, "val": 2}, change=segment(*SHAPES))
    samples = train(make_source(root))
    reference = COCO(str(root / "annotations" / "instances_train2017.json"))
    assert len(samples.annotations.objects) == 6
    for index in range(4):
        objects = samples.annotation(index)
        expected = [reference.annToMask(annotation) for annotation in reference.imgToAnns[100 + index]]
        assert numpy.array_equal(objects.masks(30, 40), expected)
        assert objects.segmentations.rles(30, 40) == [coco.encode(numpy.asfortranarray(mask)) for mask in expected]


def test_pixels_stay_with_their_objects_when_the_set_is_divided(make_source, make_coco):
    splits = make_source(make_coco({"train": 20})).splits(seed=0)
    for samples in splits.samples.values():
        for index in range(len(samples)):
            objects = samples.annotation(index)
            assert len(objects.segmentations) == len(objects)
            assert objects.masks(30, 40).sum((1, 2)).tolist() == [PIXELS] * len(objects)


def test_class_masks_are_painted_of_the_objects_over_a_background(make_source, make_coco):
    source = make_source(make_coco(change=segment([SQUARE], [TRIANGLE], [SQUARE])), "mask")
    samples, info = train(source), source.info()
    assert info.class_names == ("background", "car", "train", "brush")
    assert info.category_ids == (0, 3, 7, 90)
    assert samples.annotations is None
    first, second = samples.mask(0), samples.mask(1)
    expected = torch.zeros(30, 40, dtype=torch.uint8)
    expected[4:14, 20:30] = 1
    assert torch.equal(first, expected)
    assert int((second == 1).sum()) == PIXELS
    assert (second[4:14, 20:30] == 255).all()  # the second object of each second image is a crowd
    module = VisionDataModule(source, target="mask", batch_reader=SegmentationBatchReader, batch_size=2, seed=0)
    counts = torch.stack([torch.bincount(samples.mask(i).flatten(), minlength=256)[:4] for i in range(4)]).sum(0)
    assert torch.equal(module.class_counts(), counts)


def test_images_whose_size_the_file_does_not_say_are_measured(make_source, make_coco):
    def change(content):
        for image in content["images"]:
            del image["height"], image["width"]

    assert train(make_source(make_coco(change=change), "mask")).mask(0).shape == (30, 40)


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ([[1, 2, 3, 4]], "outline(s) with fewer than three points"),
        ([[1, 2]], "outline(s) with fewer than three points"),
        ([[1, 2, 3, 4, 5, 6, 7]], "segmentation(s) that are neither outlines of x, y, x, y ... nor run lengths"),
        ([[1, 2, 3, "x", 5, 6]], "segmentation(s) that are neither outlines of x, y, x, y ... nor run lengths"),
        (
            [[1, 2, 3, float("nan"), 5, 6]],
            "segmentation(s) that are neither outlines of x, y, x, y ... nor run lengths",
        ),
        ("outline", "segmentation(s) that are neither outlines of x, y, x, y ... nor run lengths"),
        ([], "object(s) without an outline"),
        (None, "object(s) without an outline"),
        ({"size": [30, 40], "counts": [1000, 100]}, "RLE(s) of another length than their image"),
        ({"size": [20, 60], "counts": [1000, 200]}, "RLE(s) of another length than their image"),
        ({"size": [30, 40], "counts": [1300, -100]}, "segmentation(s) that are neither outlines"),
        ({"size": [30, 40]}, "segmentation(s) that are neither outlines"),
        ({"counts": [1200]}, "segmentation(s) that are neither outlines"),
        ({"size": [30, 40], "counts": COMPRESSED["counts"].decode()[:-5]}, "RLE(s) of another length than their image"),
        ({"size": [30, 40], "counts": "\u00ff\u00ff"}, "segmentation(s) that are neither outlines"),
        ({"size": [30, 40], "counts": "o"}, "segmentation(s) that are neither outlines"),
    ],
)
def test_odd_shapes_are_dropped_counted_and_named(make_source, make_coco, shape, words):
    source = make_source(make_coco(change=segment([TRIANGLE], shape)))
    splits = source.splits(seed=0)
    (note,) = splits.notes
    assert note.startswith(f"1 {words}")
    assert note.endswith(f"dropped: {NAMED} annotation 10")
    assert len(splits.samples["train"].annotations.objects) == 5
    with pytest.raises(UserError, match=rf"dataset 'coco': .*: {NAMED} annotation 10. "):
        source.check(strict=True)


def test_an_object_keeps_the_good_ones_of_its_outlines(make_source, make_coco):
    splits = make_source(make_coco(change=segment([TRIANGLE, [1, 2, 3, 4]]))).splits(seed=0)
    (note,) = splits.notes
    assert note == f"1 outline(s) with fewer than three points dropped: {NAMED} annotation 0"
    assert int(splits.samples["train"].annotation(0).masks(30, 40).sum()) == PIXELS


def test_shapes_that_are_all_odd_leave_nothing_to_train_on(make_source, make_coco):
    def spoil(content):
        for annotation in content["annotations"]:
            annotation["segmentation"] = [[1, 2, 3, 4]]

    root = make_coco({"train": 5}, change=spoil)
    with pytest.raises(UserError, match=r"no annotation at all.*outline\(s\) with fewer than three.*Expected outlines"):
        make_source(root).check()
    assert make_source(root, "boxes").check() is None


def test_boxes_alone_need_no_shapes(make_source, make_coco):
    assert train(make_source(make_coco(change=segment([])), "boxes")).annotations.objects.segmentations is None


def test_changes_that_cannot_move_masks_are_refused_when_masks_are_wanted(make_source, make_coco):
    root = make_coco()
    make_source(root, "instances", augment={"iou_crop": {}})
    with pytest.raises(UserError, match=r"dataset.augment: 'iou_crop' changes images with boxes, but .* gives masks"):
        make_source(root, "mask", augment={"iou_crop": {}})


def test_the_target_is_no_key_of_the_configuration(settings):
    with pytest.raises(UserError, match=r"dataset: unknown key 'target'"):
        parse_source(settings("coco", target="mask"))


def test_checking_shapes_needs_no_torch(make_coco):
    import subprocess
    import sys

    settings = json.dumps({"type": "coco", "root": str(make_coco()), "image_size": 32})
    code = (
        "import json, sys; from visionkit.data.sources import read_source\n"
        f"read_source(json.loads({settings!r})).for_target('mask').check()\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]
