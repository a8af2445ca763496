"""From the specification of a backbone to its module."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from visionkit.backbones.spec import BackboneSpec
from visionkit.backbones.timm.spec import TimmSpec

if TYPE_CHECKING:
    from visionkit.backbones.backbone import Backbone

__all__ = ["build_backbone"]


def build_backbone(spec: BackboneSpec, out_features: Sequence[str] | None = None) -> Backbone:
    """Build a backbone, freshly initialised; see `visionkit.backbones.Backbone` for ``out_features``.

    Raises:
        UserError: If ``out_features`` names a stage that does not exist.
    """
    if isinstance(spec, TimmSpec):
        from visionkit.backbones.timm.backbone import TimmBackbone

        return TimmBackbone(spec, out_features)
    from visionkit.backbones.backbone import Backbone

    return Backbone(spec, out_features)
