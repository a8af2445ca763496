"""From the specification of a neck to its module, through the registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from visionkit.backbones import BackboneSpec
from visionkit.necks.spec import NECKS, NeckSpec

if TYPE_CHECKING:
    from visionkit.necks.base import Neck

__all__ = ["build_neck"]


def build_neck(spec: NeckSpec, backbone: BackboneSpec, *, image_size: tuple[int, int]) -> Neck:
    """Build a neck, freshly initialised.

    Args:
        spec: The specification of the neck.
        backbone: The backbone whose maps it reads.
        image_size: Height and width in pixels, for shape inference alone; the module takes any size.

    Raises:
        UserError: If the image is too small for the backbone.
    """
    neck: Neck = NECKS.module_of(type(spec))(**spec.arguments(backbone, image_size=image_size))
    return neck
