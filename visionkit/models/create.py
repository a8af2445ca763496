"""From names to a whole model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from visionkit.backbones import BackboneSpec, read_backbone
from visionkit.blocks.signal import pair
from visionkit.errors import UserError
from visionkit.heads import parse_head
from visionkit.models.preprocess import Preprocess
from visionkit.models.vision_model import VisionModel
from visionkit.normalization import default_mean_std

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
        task: ``"classify"``.
        backbone: A name, a path to a YAML file, such a file's content, or one already read.
        num_classes: How many classes.
        head: A name or mapping; the paper's own head unless given.
        in_channels: Channels of the images; the backbone file's unless given.
        image_size: Pixels, one number or (height, width); only a head that flattens depends on it.
            The backbone file's unless given.
        mean: Per channel on the scale 0..1; ImageNet's for three channels, 0.5 otherwise.
        std: As ``mean``.
        weights: A file of weights of the whole model (.safetensors, .ckpt, .pth).

    Returns:
        The model, initialised from torch's global generator, in training mode.

    Raises:
        UserError: If anything is unknown or does not fit together.
    """
    if num_classes < 1:
        raise UserError(f"num_classes must be at least 1, found {num_classes}.")
    head_spec = parse_head(head or "auto", task=task)
    spec = backbone if isinstance(backbone, BackboneSpec) else read_backbone(backbone, in_channels=in_channels)
    if in_channels not in (None, spec.in_channels):
        raise UserError(
            f"in_channels={in_channels}, but the backbone was read for {spec.in_channels} channels. Give one."
        )
    default_mean, default_std = default_mean_std(spec.in_channels)
    mean, std = mean or default_mean, std or default_std
    if len(mean) != spec.in_channels or len(std) != spec.in_channels:
        raise UserError(
            f"mean and std need one number for each of the {spec.in_channels} channels, found {mean} and {std}."
        )
    body = spec.build()
    if spec.weights is not None:
        from visionkit.backbones.weights import load_backbone_weights

        load_backbone_weights(body, spec.weights)
    model = VisionModel(
        Preprocess(mean, std),
        body,
        head_spec.build(spec, num_classes=num_classes, image_size=pair(image_size or spec.image_size)),
    )
    if weights is not None:
        from visionkit.models.weights import load_model_weights

        load_model_weights(model, weights)
    return model
