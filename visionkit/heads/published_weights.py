"""Sources of the weights of whole models, checked before any model is built; needs no torch."""

from __future__ import annotations

from pathlib import Path

from visionkit.backbones import BackboneSpec
from visionkit.backbones.weights.sources import (
    PUBLISHED,
    WeightSource,
    check_one_source,
    check_weights,
    find_weights,
)
from visionkit.errors import UserError
from visionkit.heads.spec import HeadSpec

__all__ = ["COCO", "check_model_weights", "find_model_weights"]

COCO = "coco"
"""The value of ``weights`` that stands for torchvision's weights of a whole model, trained on COCO."""

_AVAILABLE = {
    "detect": (
        "a detector of a paper's size on resnet50. Try: head=fcos, retinanet or faster_rcnn, or experiment=coco_fcos"
    ),
    "instance": "a Mask R-CNN of the paper's size on resnet50. Try: head=mask_rcnn or experiment=coco_mask_rcnn",
    "segment": "torchvision's fcn or deeplabv3 on resnet50 or resnet101. Try: experiment=voc_fcn or voc_deeplabv3",
}
"""By task, the models whose weights torchvision has trained on COCO."""


def find_model_weights(source: str | Path, spec: BackboneSpec, head: HeadSpec) -> WeightSource:
    """Resolve a source of weights of a whole model, without loading them.

    Args:
        source: As for `visionkit.backbones.weights.sources.find_weights`, or ``coco``.
        spec: The backbone they are for.
        head: The head they are for.

    Raises:
        UserError: If there are no such weights, or they are for another task.
    """
    text = str(source)
    if head.task in _AVAILABLE and text in PUBLISHED:
        raise UserError(
            f"weights: found '{text}', which are weights of whole classifiers, but the task is '{head.task}'. "
            f"For the backbone alone: backbone.weights={text}. Of whole models for this task: weights={COCO}"
        )
    if text != COCO:
        return find_weights(source, spec)
    if head.task not in _AVAILABLE:
        raise UserError(
            f"weights: found '{COCO}', which are weights for detection and segmentation, but the task is "
            f"'{head.task}'. Expected imagenet, a file or run:FOLDER."
        )
    if head.torchvision_model(spec) is None:
        raise UserError(
            f"weights: found '{COCO}', but torchvision has published no weights of this head on {spec.name}. "
            f"Expected a file, run:FOLDER, or {_AVAILABLE[head.task]}, with weights={COCO}"
        )
    return WeightSource(COCO)


def check_model_weights(spec: BackboneSpec, head: HeadSpec, weights: str | Path | None) -> None:
    """Check that the initial weights of a model exist and fit its task.

    Args:
        spec: The backbone, which may name weights of its own.
        head: The head.
        weights: The source of the whole model's weights, or None.

    Raises:
        UserError: If the weights do not exist or do not fit the task, or both kinds are given.
    """
    check_one_source(weights, spec.weights)
    if weights is not None:
        find_model_weights(weights, spec, head)
    check_weights(spec, None)
