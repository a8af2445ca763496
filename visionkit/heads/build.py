"""Building the module of a head from its specification."""

from __future__ import annotations

from typing import TYPE_CHECKING

from visionkit.backbones import BackboneSpec
from visionkit.heads.spec import HeadSpec

if TYPE_CHECKING:
    from visionkit.heads.base import Head

__all__ = ["build_head"]


def build_head(spec: HeadSpec, backbone: BackboneSpec, *, num_classes: int, image_size: tuple[int, int]) -> Head:
    """Build a head, freshly initialised.

    Args:
        spec: The head's specification.
        backbone: The backbone that the head, or its neck, takes features from.
        num_classes: The number of classes.
        image_size: Height and width in pixels; only a head that flattens depends on it.

    Raises:
        UserError: If the head does not fit the number of classes, or the image is too small for the backbone.
    """
    spec.check(num_classes=num_classes)
    arguments = spec.arguments(backbone, num_classes=num_classes, image_size=image_size)
    head: Head = spec.module_class()(**arguments)
    head.spec = spec
    return head
