"""Downloading of torchvision's published weights into torch's cache."""

from __future__ import annotations

import re
from http.client import HTTPException
from pathlib import Path
from typing import Any

import torch

from visionkit.backbones.spec import BackboneSpec
from visionkit.backbones.weights.sources import PUBLISHED
from visionkit.errors import UserError

__all__ = ["published_file"]


def published_file(spec: BackboneSpec, model: str, weights: str) -> Path:
    """The file of torchvision's published weights of a model, in torch's cache; downloaded if missing.

    Args:
        spec: The backbone, for the error message.
        model: Torchvision's name of the model.
        weights: ``imagenet`` or ``coco`` for torchvision's default, ``imagenet_v1`` or ``imagenet_v2``.

    Raises:
        UserError: If there are no such weights, or they cannot be downloaded.
    """
    url = str(_published_entry(spec, model, weights).url)
    name = url.rpartition("/")[2]
    file = Path(torch.hub.get_dir()) / "checkpoints" / name
    if file.is_file():
        return file
    checksum = re.search(r"-([0-9a-f]+)\.", name)  # as torchvision's own loader finds it
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(file), hash_prefix=checksum[1] if checksum else None)
    except (OSError, HTTPException, RuntimeError) as error:
        reason = getattr(error, "reason", None) or error
        backbone = f" (backbone.weights={name} for the backbone alone)" if weights in PUBLISHED else ""
        raise UserError(
            f"weights: '{weights}' of {model} cannot be downloaded: {reason}. Download {url} where there is a "
            f"network and save it as {file}, or give the file itself: weights={name}{backbone}."
        ) from None
    return file


def _published_entry(spec: BackboneSpec, model: str, weights: str) -> Any:
    """Torchvision's entry for the weights."""
    from torchvision.models import get_model_weights

    try:
        entries = get_model_weights(model)
    except ValueError:
        raise UserError(
            f"backbone {spec.name}: torchvision has no model '{model}'. Expected the name of one of its "
            "classification networks under torchvision: {model: ..., family: ...}."
        ) from None
    if not weights.startswith("imagenet_"):
        return entries.DEFAULT
    entry = f"IMAGENET1K_{weights.removeprefix('imagenet_').upper()}"
    if entry not in entries.__members__:
        versions = [
            f"imagenet_{suffix}" for suffix in ("v1", "v2") if f"IMAGENET1K_{suffix.upper()}" in entries.__members__
        ]
        raise UserError(
            f"weights: there is no '{weights}' of {spec.name}. Published: {', '.join(['imagenet', *versions])}."
        )
    return entries[entry]
