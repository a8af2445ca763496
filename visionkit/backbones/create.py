"""From a name, a file or a mapping to a backbone."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visionkit.backbones.build import build_backbone
from visionkit.backbones.read import read_backbone
from visionkit.text import printable

if TYPE_CHECKING:
    from visionkit.backbones.backbone import Backbone

__all__ = [
    "create_backbone",
]


def create_backbone(
    backbone: str | Path | Mapping[str, Any],
    *,
    in_channels: int | None = None,
    out_features: Sequence[str] | None = None,
    output_stride: int | None = None,
    weights: str | None = None,
    **overrides: Any,
) -> Backbone:
    """Build a backbone: ``create_backbone("resnet18", in_channels=1, stem="small")``.

    Args:
        backbone: A name such as ``"resnet50"`` (see `list_backbones`), a path to a YAML file, or
            such a file's content.
        in_channels: Channels of the images; by default those of the file.
        out_features: Stages whose maps are returned; all by default.
        output_stride: 8 or 16: the last stages are dilated instead of strided beyond it.
        weights: Initial weights: ``imagenet`` (torchvision's published weights; ``imagenet_v1`` and ``imagenet_v2``
            name a version), a file of a backbone or a whole model in visionkit's layout or torchvision's
            (.safetensors, .ckpt, .pth), or ``run:FOLDER``. Images must be normalised as in the training of the
            weights. An input convolution for other channels is adapted, with a warning of the logger ``visionkit``.
        **overrides: Any key of the file; dotted ones as ``**{"stages.layer3.blocks.repeat": 23}``.

    Returns:
        The backbone, initialised from torch's global generator, in training mode.

    Raises:
        UserError: If there is no such backbone, its configuration is invalid, or the weights do not fit.
    """
    if output_stride is not None:
        overrides["output_stride"] = output_stride
    if weights is not None:
        overrides["weights"] = weights
    spec = read_backbone(backbone, in_channels=in_channels, overrides=overrides)
    module = build_backbone(spec, out_features)
    if spec.weights is not None:
        from visionkit.backbones.weights.load import load_backbone_weights

        for note in load_backbone_weights(module, spec.weights).notes:
            logging.getLogger("visionkit").warning(printable(note))
    return module
