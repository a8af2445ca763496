"""Suppression of fixed shapes, compared with the greedy one."""

import pytest
import torch

from visionkit.structures.boxes import batched_nms, top_boxes
from visionkit.structures.static_nms import StaticNms


def crowd(seed, *, images=4, count=300, classes=3, spread=120.0):
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand(images, count, 2, generator=generator) * spread
    sides = 12 + 30 * torch.rand(images, count, 2, generator=generator)
    scores = torch.rand(images, count, generator=generator)
    labels = torch.randint(-1, classes, (images, count), generator=generator)
    return torch.cat([corners, corners + sides], dim=2), scores, labels


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7])
def test_crowded_scenes_are_suppressed_as_greedily(threshold):
    for seed in range(15):
        boxes, scores, labels = crowd(seed)
        nms = StaticNms()
        keep = nms(boxes, scores, labels, iou_threshold=threshold)
        assert nms.converged.all()
        assert torch.equal(keep, batched_nms(boxes, scores, labels, iou_threshold=threshold))


def test_a_chain_longer_than_the_rounds_is_said_not_to_have_converged():
    starts = torch.arange(40.0) * 4
    boxes = torch.stack([starts, torch.zeros(40), starts + 10, torch.full((40,), 10.0)], dim=1)[None]
    scores, labels = torch.linspace(1, 0.1, 40)[None], torch.zeros(1, 40, dtype=torch.int64)
    nms = StaticNms(rounds=3)
    nms(boxes, scores, labels, iou_threshold=0.3)
    assert nms.converged.tolist() == [False]
    nms = StaticNms(rounds=40)
    assert torch.equal(
        nms(boxes, scores, labels, iou_threshold=0.3), batched_nms(boxes, scores, labels, iou_threshold=0.3)
    )
    assert nms.converged.tolist() == [True]


def test_boxes_beyond_the_limit_are_suppressed():
    boxes, scores, labels = crowd(0, images=1, count=50, classes=1, spread=2000.0)
    keep = StaticNms(limit=10)(boxes, scores, labels.clamp(min=0), iou_threshold=0.5)
    assert keep[0].nonzero()[:, 0].tolist() == sorted(scores[0].topk(10).indices.tolist())


def test_what_is_predicted_is_exact_where_boxes_come_in_many_blocks():
    for seed, spread in ((0, 200.0), (1, 600.0), (2, 2000.0)):
        boxes, scores, labels = crowd(seed, images=3, count=1500, spread=spread)
        keep = batched_nms(boxes, scores, labels, iou_threshold=0.5)
        nms = StaticNms(limit=1500, rounds=20, max_kept=100)
        found = nms(boxes, scores, labels, iou_threshold=0.5)
        assert nms.converged.all()
        for mine, expected in zip(
            top_boxes(boxes, scores, labels, found, count=100),
            top_boxes(boxes, scores, labels, keep, count=100),
            strict=True,
        ):
            assert torch.equal(mine, expected)
        all_kept = StaticNms(limit=1500, rounds=20)(boxes, scores, labels, iou_threshold=0.5)
        assert torch.equal(all_kept, keep)


def test_boxes_left_unseen_are_said_unless_enough_are_kept():
    boxes, scores, labels = crowd(0, images=1, count=400, classes=1, spread=300.0)
    nms = StaticNms(limit=200)
    nms(boxes, scores, labels.clamp(min=0), iou_threshold=0.5)
    assert nms.converged.tolist() == [False]
    nms = StaticNms(limit=200, max_kept=50)
    nms(boxes, scores, labels.clamp(min=0), iou_threshold=0.5)
    assert nms.converged.tolist() == [True]


def test_scores_below_zero_are_ordered_too_and_a_threshold_of_zero_suppresses_what_touches():
    boxes, scores, labels = crowd(1, count=60)
    keep = StaticNms()(boxes, scores - 5, labels, iou_threshold=0.0)
    assert torch.equal(keep, batched_nms(boxes, scores, labels, iou_threshold=0.0))
