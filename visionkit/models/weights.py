"""Weights of whole models: our own files, and other libraries' names for the same tensors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from visionkit.backbones import read_backbone
from visionkit.backbones.weights import load_strictly, read_state_dict
from visionkit.errors import UserError
from visionkit.models.create import create_model
from visionkit.models.vision_model import VisionModel

__all__ = ["convert_state_dict", "load_model_weights"]

Layout = Literal["visionkit", "torchvision"]

_RESNET = (
    (r"backbone\.stem\.conv\.conv\.", r"conv1."),
    (r"backbone\.stem\.conv\.norm\.", r"bn1."),
    (r"backbone\.(layer\d)\.blocks\.(\d+)\.residual\.body\.conv(\d)\.conv\.", r"\1.\2.conv\3."),
    (r"backbone\.(layer\d)\.blocks\.(\d+)\.residual\.body\.conv(\d)\.norm\.", r"\1.\2.bn\3."),
    (r"backbone\.(layer\d)\.blocks\.(\d+)\.residual\.shortcut\.conv\.", r"\1.\2.downsample.0."),
    (r"backbone\.(layer\d)\.blocks\.(\d+)\.residual\.shortcut\.norm\.", r"\1.\2.downsample.1."),
    (r"head\.layers\.output\.", r"fc."),
)
_DENSENET = (
    (r"backbone\.stem\.conv\.(conv|norm)\.", r"features.\g<1>0."),
    (
        r"backbone\.dense(\d)\.block\.layer(\d+)\.new\.conv(\d)\.(conv|norm)\.",
        r"features.denseblock\1.denselayer\2.\4\3.",
    ),
    (r"backbone\.dense2\.transition\.conv\.", r"features.transition1."),
    (r"backbone\.dense3\.transition\.conv\.", r"features.transition2."),
    (r"backbone\.dense4\.transition\.conv\.", r"features.transition3."),
    (r"backbone\.dense4\.final\.norm\.", r"features.norm5."),
    (r"head\.layers\.output\.", r"classifier."),
)
_ALEXNET = (
    *((rf"backbone\.c{i}\.conv\.conv\.", rf"features.{place}.") for i, place in enumerate((0, 3, 6, 8, 10), start=1)),
    (r"head\.layers\.hidden1\.", r"classifier.1."),
    (r"head\.layers\.hidden2\.", r"classifier.4."),
    (r"head\.layers\.output\.", r"classifier.6."),
)
_FAMILIES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "alexnet": _ALEXNET,
    "densenet": _DENSENET,
    "resnet": _RESNET,
}
"""For each family of torchvision: how our names become theirs. The first pattern that matches counts."""


def convert_state_dict(
    state_dict: Mapping[str, Tensor],
    backbone: str | Path | Mapping[str, Any],
    *,
    task: str = "classify",
    head: str | Mapping[str, Any] | None = None,
    source: Layout = "torchvision",
    target: Layout = "visionkit",
) -> dict[str, Tensor]:
    """Give the tensors of a whole model the names they have in another library.

    Args:
        state_dict: Names to tensors, in the layout ``source``.
        backbone: The backbone they belong to; its file names the family in torchvision.
        task: The task of the model.
        head: The head of the model; the paper's own unless given.
        source: The layout of ``state_dict``.
        target: The layout wanted.

    Returns:
        The same tensors under the names of ``create_model(task, backbone, head=head).state_dict()``,
        or of torchvision's model.

    Raises:
        UserError: If the backbone has no counterpart, or names are missing or left over.
    """
    if source == target:
        return dict(state_dict)
    ours_to_theirs = _names(backbone, task=task, head=head)
    renaming = ours_to_theirs if source == "visionkit" else {v: k for k, v in ours_to_theirs.items()}
    missing = [name for name in renaming if name not in state_dict]
    extra = [name for name in state_dict if name not in renaming]
    if missing or extra:
        raise UserError(
            f"these weights are not those of {source}'s counterpart: missing ({len(missing)}) {missing[:4]}, "
            f"left over ({len(extra)}) {extra[:4]}."
        )
    return {new: state_dict[old] for old, new in renaming.items()}


def load_model_weights(model: VisionModel, path: str | Path) -> None:
    """Load a file of weights of the same whole model.

    Raises:
        UserError: If the file cannot be read or does not fit.
    """
    load_strictly(model, read_state_dict(path), source=str(path))


def _names(
    backbone: str | Path | Mapping[str, Any], *, task: str, head: str | Mapping[str, Any] | None
) -> dict[str, str]:
    """Our names to torchvision's, for every tensor of the model."""
    spec = read_backbone(backbone)
    family = (spec.torchvision or {}).get("family", "")
    if family not in _FAMILIES:
        raise UserError(
            f"backbone {spec.name} has no counterpart in torchvision: its file gives no known family under "
            f"torchvision: {{model: ..., family: ...}}. Known families: {', '.join(_FAMILIES)}."
        )
    with torch.device("meta"):
        ours = create_model(task, spec, head=head, num_classes=2).state_dict()
    names = {}
    for name in ours:
        for pattern, replacement in _FAMILIES[family]:
            new, count = re.subn(f"^{pattern}", replacement, name)
            if count:
                names[name] = new
                break
        else:
            raise UserError(f"backbone {spec.name}: torchvision's {family} has no counterpart of '{name}'.")
    return names
