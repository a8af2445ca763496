"""Weights of whole models: our own files, and other libraries' names for the same tensors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from visionkit.backbones import read_backbone
from visionkit.backbones.torchvision_names import torchvision_names
from visionkit.backbones.weights import load_strictly, read_state_dict
from visionkit.errors import UserError
from visionkit.models.create import create_model
from visionkit.models.vision_model import VisionModel

__all__ = ["convert_state_dict", "load_model_weights"]

Layout = Literal["visionkit", "torchvision"]


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
    with torch.device("meta"):
        ours = create_model(task, spec, head=head, num_classes=2).state_dict()
    return torchvision_names(ours, spec)
