"""Where weights of whole models may come from, the head being known; needs no torch."""

from __future__ import annotations

from pathlib import Path

from visionkit.backbones import BackboneSpec, pretrained
from visionkit.errors import UserError
from visionkit.heads.detectors import DetectionHead
from visionkit.heads.spec import HeadSpec

__all__ = ["COCO", "check_start", "published_detector"]

COCO = "coco"
"""The word for torchvision's weights of a whole detector."""


def published_detector(spec: BackboneSpec, head: DetectionHead) -> str:
    """Torchvision's name of the detector that a head is on a backbone.

    Raises:
        UserError: If it has none; the message says which there are.
    """
    name = head.counterpart(spec)
    if name is None:
        raise UserError(
            f"weights: found '{COCO}', but torchvision has published no weights of this head on {spec.name}. "
            f"Expected a file, run:FOLDER, or a detector of a paper's size on resnet50. "
            "Try experiment=coco_fcos, coco_retinanet, coco_faster_rcnn or coco_mask_rcnn, with weights=coco"
        )
    return name


def check_start(spec: BackboneSpec, head: HeadSpec, weights: str | Path | None) -> None:
    """Look whether there are the weights that a model is to start from.

    Args:
        spec: Its backbone, perhaps with weights of its own.
        head: Its head.
        weights: Those of the whole model.

    Raises:
        UserError: If they are not there, do not fit the task, or both are given.
    """
    text = str(weights)
    pretrained.refuse_both(weights, spec.weights)
    detects = isinstance(head, DetectionHead)
    if detects and text in pretrained.PUBLISHED:
        raise UserError(
            f"weights: found '{text}', which are weights of whole classifiers, but the task is '{head.task}'. "
            f"For the backbone alone: backbone.weights={text}. Of whole detectors: weights={COCO}"
        )
    if text == COCO and not detects:
        raise UserError(
            f"weights: found '{COCO}', which are weights of whole detectors, but the task is '{head.task}'. "
            "Expected imagenet, a file or run:FOLDER."
        )
    pretrained.check_start(spec, None if text == COCO else weights)
    if text == COCO and isinstance(head, DetectionHead):
        published_detector(spec, head)
