"""Downloading of torchvision's published weights into torch's cache."""

from __future__ import annotations

import re
from http.client import HTTPException
from pathlib import Path
from typing import Any

import torch

from visionkit.backbones.spec import BackboneSpec
from visionkit.errors import UserError

__all__ = ["fetch", "published_file"]


def published_file(spec: BackboneSpec, version: str) -> Path:
    """The file of torchvision's published weights for a backbone, in torch's cache; downloaded if missing.

    Args:
        spec: The backbone.
        version: ``imagenet`` for torchvision's default, ``imagenet_v1`` or ``imagenet_v2``.

    Raises:
        UserError: If there are no such weights, or they cannot be downloaded.
    """
    return fetch(str(_published_entry(spec, version).url), version, spec.name, backbone_only=True)


def fetch(url: str, weights: str, model: str, *, backbone_only: bool = False) -> Path:
    """A published file in torch's cache; downloaded if missing.

    Args:
        url: URL of the file.
        weights: Name of the weights, for the error message.
        model: Name of the model, for the error message.
        backbone_only: Whether the file also serves as ``backbone.weights``, for the error message.

    Raises:
        UserError: If it cannot be downloaded.
    """
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
        backbone = f" (backbone.weights={name} for the backbone alone)" if backbone_only else ""
        raise UserError(
            f"weights: '{weights}' of {model} cannot be downloaded: {reason}. Download {url} where there is a "
            f"network and save it as {file}, or give the file itself: weights={name}{backbone}."
        ) from None
    return file


def _published_entry(spec: BackboneSpec, version: str) -> Any:
    """Torchvision's entry for the weights."""
    from torchvision.models import get_model_weights

    model = (spec.torchvision or {}).get("model", "")
    try:
        entries = get_model_weights(model)
    except ValueError:
        raise UserError(
            f"backbone {spec.name}: torchvision has no model '{model}'. Expected the name of one of its "
            "classification networks under torchvision: {model: ..., family: ...}."
        ) from None
    if version == "imagenet":
        return entries.DEFAULT
    entry = f"IMAGENET1K_{version.removeprefix('imagenet_').upper()}"
    if entry not in entries.__members__:
        versions = [
            f"imagenet_{suffix}" for suffix in ("v1", "v2") if f"IMAGENET1K_{suffix.upper()}" in entries.__members__
        ]
        raise UserError(
            f"weights: there is no '{version}' of {spec.name}. Published: {', '.join(['imagenet', *versions])}."
        )
    return entries[entry]
