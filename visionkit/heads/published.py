"""Where weights of whole models may come from, the head being known; needs no torch."""

from __future__ import annotations

from pathlib import Path

from visionkit.backbones import BackboneSpec
from visionkit.backbones.weights import sources
from visionkit.errors import UserError
from visionkit.heads.spec import HeadSpec

__all__ = ["COCO", "check_weights", "published_model"]

COCO = "coco"
"""The word for torchvision's weights of a whole model that were trained on COCO."""


_THERE_ARE = {
    "detect": "a detector of a paper's size on resnet50. Try: experiment=coco_fcos, coco_retinanet or coco_faster_rcnn",
    "instance": "a Mask R-CNN of the paper's size on resnet50. Try: experiment=coco_mask_rcnn",
    "segment": "torchvision's fcn or deeplabv3 on resnet50 or resnet101. Try: experiment=voc_fcn or voc_deeplabv3",
}


def published_model(spec: BackboneSpec, head: HeadSpec) -> str:
    """Torchvision's name of the model that a head is on a backbone.

    Raises:
        UserError: If it has none; the message says which there are.
    """
    name = head.torchvision_model(spec)
    if name is None:
        known = f", or {_THERE_ARE[head.task]}, with weights={COCO}" if head.task in _THERE_ARE else "."
        raise UserError(
            f"weights: found '{COCO}', but torchvision has published no weights of this head on {spec.name}. "
            f"Expected a file, run:FOLDER{known}"
        )
    return name


def check_weights(spec: BackboneSpec, head: HeadSpec, weights: str | Path | None) -> None:
    """Look whether there are the weights that a model is to start from.

    Args:
        spec: Its backbone, perhaps with weights of its own.
        head: Its head.
        weights: Those of the whole model.

    Raises:
        UserError: If they are not there, do not fit the task, or both are given.
    """
    text = str(weights)
    sources.check_one_source(weights, spec.weights)
    if head.task != "classify" and text in sources.PUBLISHED:
        raise UserError(
            f"weights: found '{text}', which are weights of whole classifiers, but the task is '{head.task}'. "
            f"For the backbone alone: backbone.weights={text}. Of whole models for this task: weights={COCO}"
        )
    if text == COCO and head.task == "classify":
        raise UserError(
            f"weights: found '{COCO}', which are weights for detection and segmentation, but the task is 'classify'. "
            "Expected imagenet, a file or run:FOLDER."
        )
    sources.check_weights(spec, None if text == COCO else weights)
    if text == COCO:
        published_model(spec, head)
