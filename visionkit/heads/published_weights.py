"""Checks of the weights of whole models, before any model is built; needs no torch."""

from __future__ import annotations

from pathlib import Path

from visionkit.backbones import BackboneSpec
from visionkit.backbones.weights import sources
from visionkit.errors import UserError
from visionkit.heads.spec import HeadSpec

__all__ = ["COCO", "check_model_weights", "published_model"]

COCO = "coco"
"""The value of ``weights`` that stands for torchvision's weights of a whole model, trained on COCO."""

_AVAILABLE = {
    "detect": (
        "a detector of a paper's size on resnet50. Try: head=fcos, retinanet or faster_rcnn, or experiment=coco_fcos"
    ),
    "instance": "a Mask R-CNN of the paper's size on resnet50. Try: head=mask_rcnn or experiment=coco_mask_rcnn",
    "segment": "torchvision's fcn or deeplabv3 on resnet50 or resnet101. Try: experiment=voc_fcn or voc_deeplabv3",
}


def published_model(spec: BackboneSpec, head: HeadSpec) -> str:
    """Torchvision's name of the model made of a backbone and a head.

    Raises:
        UserError: If torchvision publishes no weights of it; the message names the models it has.
    """
    name = head.torchvision_model(spec)
    if name is None:
        available = f", or {_AVAILABLE[head.task]}, with weights={COCO}" if head.task in _AVAILABLE else "."
        raise UserError(
            f"weights: found '{COCO}', but torchvision has published no weights of this head on {spec.name}. "
            f"Expected a file, run:FOLDER{available}"
        )
    return name


def check_model_weights(spec: BackboneSpec, head: HeadSpec, weights: str | Path | None) -> None:
    """Check that the initial weights of a model exist and fit its task.

    Args:
        spec: The backbone, which may name weights of its own.
        head: The head.
        weights: The source of the whole model's weights, or None.

    Raises:
        UserError: If the weights do not exist or do not fit the task, or both kinds are given.
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
