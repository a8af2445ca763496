"""Losses of boxes against torchvision and torch."""

import torch
from torch.nn import functional as F
from torchvision.ops import generalized_box_iou_loss

from visionkit.losses.boxes import giou_loss, l1_loss


def pairs():
    generator = torch.Generator().manual_seed(0)
    corners = torch.rand(2, 50, 2, generator=generator, dtype=torch.float64) * 80
    boxes = torch.cat([corners, corners + torch.rand(2, 50, 2, generator=generator, dtype=torch.float64) * 40 + 1], -1)
    return boxes[0], boxes[1]


def test_generalized_iou_equals_torchvisions():
    predictions, targets = pairs()
    torch.testing.assert_close(giou_loss(predictions, targets), generalized_box_iou_loss(predictions, targets))


def test_absolute_differences_equal_torchs():
    predictions, targets = pairs()
    torch.testing.assert_close(
        l1_loss(predictions, targets), F.l1_loss(predictions, targets, reduction="none").sum(dim=-1)
    )
