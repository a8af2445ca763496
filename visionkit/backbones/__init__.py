"""Backbones: YAML files of building blocks, built as torch modules whose feature maps are declared."""

from typing import TYPE_CHECKING, Any

from visionkit.backbones.create import create_backbone
from visionkit.backbones.feature_info import FeatureInfo
from visionkit.backbones.files import list_backbones, load_backbone_file
from visionkit.backbones.read import read_backbone
from visionkit.backbones.spec import BackboneSpec

if TYPE_CHECKING:
    from visionkit.backbones.backbone import Backbone

__all__ = [
    "Backbone",
    "BackboneSpec",
    "FeatureInfo",
    "create_backbone",
    "list_backbones",
    "load_backbone_file",
    "read_backbone",
]


def __getattr__(name: str) -> Any:
    if name == "Backbone":
        from visionkit.backbones.backbone import Backbone

        return Backbone
    raise AttributeError(f"module 'visionkit.backbones' has no attribute '{name}'")
