"""Torchvision's FCOS and RetinaNet as bench_detect.py compares visionkit's with them."""

from collections.abc import Callable
from typing import Any

import torch
import torchvision
from torch import Tensor, nn
from torchvision.models import detection
from torchvision.models.detection.backbone_utils import _resnet_fpn_extractor
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

NUM_CLASSES = 80
OUTPUT_NAMES = {
    "logits": "cls_logits", "distances": "bbox_regression", "deltas": "bbox_regression", "quality": "bbox_ctrness",
}  # fmt: skip
"""Raw outputs by their names in torchvision."""

Batch = dict[str, Tensor]


def torchvision_detector(head: str, backbone: str) -> nn.Module:
    """Torchvision's detector on a ResNet, without resizing of images."""
    torch.manual_seed(0)
    body = getattr(torchvision.models, backbone)(weights=None)
    fpn = _resnet_fpn_extractor(body, 5, [2, 3, 4], LastLevelP6P7(256, 256))
    model: nn.Module = (detection.FCOS if head == "fcos" else detection.RetinaNet)(fpn, NUM_CLASSES)
    model.transform.resize = lambda image, target=None: (image, target)  # type: ignore[assignment, union-attr]
    return model


def torchvision_loss_fn(
    head: str, model: Any, targets: list[Batch], anchors: list[Tensor], level_sizes: list[int]
) -> Callable[[dict[str, Tensor], bool], Any]:
    """A function of raw outputs that gives torchvision's losses, or the assignment alone."""
    compute_loss = model.head.compute_loss

    def run(outputs: dict[str, Tensor], assign_only: bool) -> Any:
        model.head.compute_loss = (lambda *arguments: arguments[-1]) if assign_only else compute_loss
        extra = (level_sizes,) if head == "fcos" else ()
        return model.compute_loss(targets, outputs, anchors, *extra)

    return run


def torchvision_targets(targets: Batch) -> list[Batch]:
    """The targets as torchvision takes them."""
    return [
        {"boxes": boxes[labels >= 0], "labels": labels[labels >= 0]}
        for boxes, labels in zip(targets["boxes"], targets["labels"], strict=True)
    ]
