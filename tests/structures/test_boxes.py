"""Boxes as tensors against torchvision's functions and hand-made cases."""

import pytest
import torch
from torchvision import ops
from torchvision.models.detection._utils import BoxCoder
from torchvision.ops import box_iou, clip_boxes_to_image, generalized_box_iou_loss

from visionkit.structures.boxes import (
    apply_deltas,
    batched_nms,
    box_deltas,
    clip_boxes,
    generalized_iou,
    rescale_boxes,
    top_boxes,
)


def random_boxes(*shape, seed=0, size=100.0):
    generator = torch.Generator().manual_seed(seed)
    near = torch.rand(*shape, 2, generator=generator) * size * 0.7
    return torch.cat([near, near + torch.rand(*shape, 2, generator=generator) * size * 0.3 + 1], dim=-1)


def test_deltas_equal_torchvisions_and_come_back():
    boxes, anchors = random_boxes(50), random_boxes(50, seed=1)
    coder = BoxCoder((1.0, 1.0, 1.0, 1.0))
    deltas = box_deltas(boxes, anchors)
    torch.testing.assert_close(deltas, coder.encode_single(boxes, anchors))
    wild = deltas * torch.linspace(-20, 20, 50)[:, None]
    torch.testing.assert_close(apply_deltas(wild, anchors), coder.decode_single(wild, anchors))
    torch.testing.assert_close(apply_deltas(deltas, anchors), boxes, rtol=1e-5, atol=1e-4)


def test_iou_and_its_generalisation_equal_torchvisions():
    boxes, others = random_boxes(200), random_boxes(200, seed=1)
    iou, giou = generalized_iou(boxes, others)
    torch.testing.assert_close(iou, box_iou(boxes, others).diagonal())
    torch.testing.assert_close(1 - giou, generalized_box_iou_loss(boxes, others))


def test_boxes_are_cut_off_at_each_images_own_edges():
    boxes = random_boxes(2, 30) - 20
    clipped = clip_boxes(boxes, torch.tensor([[40, 60], [70, 30]]))
    assert torch.equal(clipped[0], clip_boxes_to_image(boxes[0], (40, 60)))
    assert torch.equal(clipped[1], clip_boxes_to_image(boxes[1], (70, 30)))


def test_boxes_go_to_another_size_of_their_image_along_each_axis():
    boxes = torch.tensor([[[10.0, 20.0, 30.0, 40.0]], [[0.0, 0.0, 5.0, 5.0]]])
    there = rescale_boxes(boxes, torch.tensor([[100, 50], [10, 10]]), torch.tensor([[200, 25], [5, 10]]))
    assert there.tolist() == [[[5.0, 40.0, 15.0, 80.0]], [[0.0, 0.0, 5.0, 2.5]]]


@pytest.mark.parametrize("count", [40, 1500])  # all at once, and one group after the other
def test_suppression_in_a_batch_equals_torchvisions_in_each_image(count):
    boxes, generator = random_boxes(3, count), torch.Generator().manual_seed(3)
    scores = torch.rand(3, count, generator=generator)
    labels = torch.randint(-1, 4, (3, count), generator=generator)
    keep = batched_nms(boxes, scores, labels, iou_threshold=0.3)
    for image in range(3):
        there = (labels[image] >= 0).nonzero()[:, 0]
        expected = ops.batched_nms(boxes[image][there], scores[image][there], labels[image][there], 0.3)
        assert keep[image].nonzero()[:, 0].tolist() == there[expected].sort().values.tolist()


def test_suppression_of_nothing_keeps_nothing():
    keep = batched_nms(torch.zeros(2, 3, 4), torch.zeros(2, 3), torch.full((2, 3), -1), iou_threshold=0.5)
    assert not keep.any()


@pytest.mark.parametrize("count", [2, 6])
def test_the_best_of_the_kept_boxes_come_first_and_then_padding(count):
    boxes = torch.arange(20.0).reshape(1, 5, 4)
    scores, labels = torch.tensor([[0.2, 0.9, 0.0, 0.5, 0.7]]), torch.tensor([[3, 1, 4, 2, 0]])
    keep = torch.tensor([[True, True, True, False, True]])
    found = top_boxes(boxes, scores, labels, keep, count=count)
    best = [1, 4, 0, 2][:count]
    padding = count - len(best)
    assert torch.equal(found[0][0], torch.cat([boxes[0, best], torch.zeros(padding, 4)]))
    torch.testing.assert_close(found[1][0], torch.cat([scores[0, best], torch.zeros(padding)]))
    assert found[2][0].tolist() == labels[0, best].tolist() + [-1] * padding


def test_suppression_tells_scores_apart_that_are_one_in_single_precision():
    scores = 1 - torch.tensor([[3e-9, 1e-9, 2e-9]], dtype=torch.float64)
    assert (scores.float() == 1).all()
    boxes = torch.tensor([0.0, 0.0, 9.0, 9.0]).expand(1, 3, 4)
    keep = batched_nms(boxes, scores, torch.zeros(1, 3, dtype=torch.int64), iou_threshold=0.5)
    assert keep.tolist() == [[False, True, False]]
