"""Which objects a level takes, beside the assignment that a training makes."""

import numpy
import pytest
import torch

from visionkit.backbones import read_backbone
from visionkit.checking.levels import levels_of
from visionkit.config_files import read_group_file
from visionkit.heads.assignment import assign_points
from visionkit.runs.config import RunConfig

SIZE = 256


def _head_and_backbone(head):
    from visionkit.cli.keywords import parse_call
    from visionkit.cli.verb_configs import compose_training

    words = ("task=detect", f"head={head}", "backbone=resnet18", "dataset=digits")
    config = RunConfig.from_plain(compose_training(parse_call("train", words, {}, ()), ()).plain, check_data=False)
    return config.head, config.backbone


def _boxes(count, seed=0):
    random = numpy.random.default_rng(seed)
    sides = numpy.exp(random.uniform(0, 5.3, (count, 2)))
    centers = random.uniform(0.2 * SIZE, 0.8 * SIZE, (count, 2))
    return numpy.concatenate([centers - sides / 2, centers + sides / 2], axis=1).clip(0, SIZE)


@pytest.mark.parametrize("head", ["fcos_small", "fcos"])
def test_points_take_the_objects_that_the_assignment_of_a_training_gives_a_point(head):
    spec, backbone = _head_and_backbone(head)
    levels, boxes = levels_of(spec, backbone), _boxes(400)
    centers = []
    for stride, offset in zip(levels.strides, levels.offsets, strict=True):
        axis = torch.arange(SIZE // stride) * stride + offset
        x, y = torch.meshgrid(axis, axis, indexing="xy")
        centers.append(torch.stack([x, y], dim=-1))
    labels = torch.zeros((len(boxes), 1), dtype=torch.int64)
    matched = assign_points(
        torch.tensor(boxes, dtype=torch.float32)[:, None], labels, centers, strides=levels.strides, radius=levels.radius
    )
    expected = (matched >= 0).any(dim=1).numpy()
    assert 0 < expected.mean() < 1
    assert (levels.takes(boxes) == expected).mean() > 0.99


@pytest.mark.parametrize(("head", "shapes"), [("retinanet_small", 9), ("faster_rcnn_small", 3)])
def test_anchors_take_the_objects_that_one_of_them_overlaps_enough(head, shapes):
    spec, backbone = _head_and_backbone(head)
    levels, boxes = levels_of(spec, backbone), _boxes(200)
    best = numpy.zeros(len(boxes))
    for stride, offset, of_level in zip(levels.strides, levels.offsets, levels.shapes, strict=True):
        assert len(of_level) == shapes
        axis = numpy.arange(0, SIZE // stride + 1) * stride + offset
        for width, height in of_level:
            for x in axis:
                low = numpy.maximum(boxes[:, 0], x - width / 2)
                across = (numpy.minimum(boxes[:, 2], x + width / 2) - low).clip(min=0)[:, None]
                along = (
                    numpy.minimum(boxes[:, 3, None], axis + height / 2)
                    - numpy.maximum(boxes[:, 1, None], axis - height / 2)
                ).clip(min=0)
                overlap = across * along
                area = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)[:, None]
                best = numpy.maximum(best, (overlap / (area + width * height - overlap)).max(axis=1))
    expected = best >= levels.min_iou
    assert 0 < expected.mean() < 1
    assert (levels.takes(boxes) == expected).mean() > 0.98


def test_a_head_without_levels_has_none():
    assert levels_of(object(), read_backbone(read_group_file("backbone", "lenet"))) is None
