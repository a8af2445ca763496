"""Creating a whole model from the names of its parts."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from visionkit.backbones import BackboneSpec, read_backbone
from visionkit.blocks.shapes import pair
from visionkit.errors import UserError
from visionkit.heads import read_head
from visionkit.heads.published_weights import check_model_weights
from visionkit.models.assemble import assemble
from visionkit.models.normalize import Normalize
from visionkit.models.vision_model import VisionModel
from visionkit.sizes import IMAGE_SIZE
from visionkit.text import printable

__all__ = ["create_model"]


def create_model(
    task: str,
    backbone: str | Path | Mapping[str, Any] | BackboneSpec,
    *,
    num_classes: int,
    head: str | Mapping[str, Any] | None = None,
    in_channels: int | None = None,
    image_size: int | tuple[int, int] | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    weights: str | Path | None = None,
) -> VisionModel:
    """Build a whole model: ``create_model("classify", "resnet50", num_classes=1000)``.

    Args:
        task: ``"classify"``, ``"multilabel"``, ``"detect"``, ``"segment"`` or ``"instance"``.
        backbone: A name, a path to a YAML file, the content of such a file, or a specification.
        num_classes: The number of classes, without a background class.
        head: A name or mapping; the task's default unless given: ``auto`` or ``multilabel`` (the classifier of the
            backbone's paper), ``fcos_small``, ``unet_small`` or ``mask_rcnn_small``.
        in_channels: Channels of the images; those of the backbone's file unless given.
        image_size: Pixels, one number or (height, width), by default the backbone file's; for heads that flatten.
        mean: Per channel in 0..1; that of the weights unless given, or else ImageNet's for three channels and 0.5
            otherwise.
        std: Per channel in 0..1; defaults as for ``mean``.
        weights: Initial weights of the whole model: ``imagenet`` (torchvision's published weights; ``imagenet_v1``
            and ``imagenet_v2`` select one of two), for detection and segmentation ``coco``, a file in visionkit's or
            torchvision's layout (.safetensors, .ckpt, .pth), or ``run:FOLDER``. Weights for other channels or
            another number of classes are adapted, with a warning of the logger ``visionkit``.

    Returns:
        The model, initialised from torch's global generator, in training mode.

    Raises:
        UserError: If a name or key is unknown, or the parts do not fit together.
    """
    if num_classes < 1:
        raise UserError(f"num_classes must be at least 1, found {num_classes}.")
    head_spec = read_head(head, task=task)
    spec = backbone if isinstance(backbone, BackboneSpec) else read_backbone(backbone, in_channels=in_channels)
    if in_channels not in (None, spec.in_channels):
        raise UserError(
            f"in_channels={in_channels}, but the backbone was read for {spec.in_channels} channels. Give one."
        )
    size = _read_size(spec.image_size if image_size is None else image_size)
    check_model_weights(spec, head_spec, weights)
    for name, values in (("mean", mean), ("std", std)):
        if values and len(values) != spec.in_channels:
            raise UserError(f"{name} needs one number for each of the {spec.in_channels} channels, found {values}.")
    model = assemble(spec, head_spec, num_classes=num_classes, image_size=size, mean=mean, std=std)
    if weights is not None or spec.weights is not None:
        from visionkit.models.weights.load import load_initial_weights

        loaded = load_initial_weights(model, weights=weights, backbone_weights=spec.weights)
        for note in loaded.notes:
            logging.getLogger("visionkit").warning(printable(note))
        if loaded.mean_std is not None and (mean or std):
            model.normalize = Normalize(mean or loaded.mean_std[0], std or loaded.mean_std[1])
    return model


def _read_size(image_size: int | tuple[int, int]) -> tuple[int, int]:
    try:
        return pair(IMAGE_SIZE.parse(image_size))
    except ValueError as error:
        raise UserError(f"image_size: {error}") from None
