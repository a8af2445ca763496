"""From a name, a file or a mapping to a validated specification; needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from visionkit.backbones.files import backbone_file, load_backbone_file
from visionkit.backbones.spec import BackboneSpec
from visionkit.backbones.stem import resolve_stem
from visionkit.backbones.timm.spec import TimmSpec
from visionkit.errors import UserError

__all__ = ["read_backbone"]


def read_backbone(
    backbone: str | Path | Mapping[str, Any],
    *,
    in_channels: int | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> BackboneSpec:
    """Read and validate a backbone without building it; needs no torch.

    Args:
        backbone: A name such as ``"resnet50"``, a path to a YAML file, or such a file's content.
        in_channels: Channels of the images, where they differ from the file's.
        overrides: Dotted keys to values, as on the command line after ``backbone.``; None as a
            layer's value removes the layer.

    Raises:
        UserError: If there is no such backbone, or its configuration is invalid.
    """
    content = (
        deepcopy(dict(backbone)) if isinstance(backbone, Mapping) else load_backbone_file(backbone_file(str(backbone)))
    )
    overrides = dict(overrides or {})
    if "stem" in overrides:
        content["stem"] = overrides.pop("stem")
    content = resolve_stem(content)
    for key, value in overrides.items():
        _override(content, key, value)
    spec_class = TimmSpec if content.get("name") == "timm" else BackboneSpec
    return spec_class.from_mapping(content, in_channels=in_channels)


def _override(content: dict[str, Any], key: str, value: Any) -> None:
    *parents, last = key.split(".")
    node: Any = content
    for parent in parents:
        node = node.setdefault(parent, {}) if isinstance(node, dict) else None
    if not isinstance(node, dict):
        raise UserError(f"backbone override '{key}': '{'.'.join(parents)}' holds a plain value, not keys.")
    if value is None and parents and parents[0] == "stages":
        node.pop(last, None)
    else:
        node[last] = value
