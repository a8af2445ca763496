"""Assembling a whole model from the specifications of its backbone and head."""

from __future__ import annotations

from collections.abc import Sequence

from visionkit.backbones import BackboneSpec
from visionkit.backbones.build import build_backbone
from visionkit.heads import HeadSpec
from visionkit.heads.build import build_head
from visionkit.models.normalize import Normalize
from visionkit.models.vision_model import VisionModel
from visionkit.necks.build import build_neck
from visionkit.normalization import default_mean_std

__all__ = ["assemble"]


def assemble(
    backbone: BackboneSpec,
    head: HeadSpec,
    *,
    num_classes: int,
    image_size: tuple[int, int],
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> VisionModel:
    """Build the model of a backbone and a head, freshly initialised; other arguments as for `create_model`.

    Raises:
        UserError: If the parts do not fit together.
    """
    default_mean, default_std = default_mean_std(backbone.in_channels)
    backbone = head.adapt_backbone(backbone)
    return VisionModel(
        Normalize(mean or default_mean, std or default_std),
        build_backbone(backbone, head.out_features(backbone)),
        build_head(head, backbone, num_classes=num_classes, image_size=image_size),
        neck=None if head.neck is None else build_neck(head.neck, backbone, image_size=image_size),
    )
