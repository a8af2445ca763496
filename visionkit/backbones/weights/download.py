"""Torchvision's published files: where torch keeps them, and how they come there."""

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
    """The published file of a backbone's counterpart, in torch's own folder; fetched if it is not there.

    Args:
        spec: The backbone.
        version: ``imagenet`` for torchvision's default, ``imagenet_v1`` or ``imagenet_v2``.

    Raises:
        UserError: If there is no such file, or it cannot be fetched.
    """
    return fetch(str(_published(spec, version).url), version, spec.name, alone=True)


def fetch(url: str, weights: str, model: str, *, alone: bool = False) -> Path:
    """A published file in torch's own folder; fetched if it is not there.

    Args:
        url: Where it is published.
        weights: What was asked for, for the message.
        model: Whose weights they are, for the message.
        alone: Whether they may also start a backbone alone.

    Raises:
        UserError: If it cannot be fetched.
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
        backbone = f" (backbone.weights={name} for the backbone alone)" if alone else ""
        raise UserError(
            f"weights: '{weights}' of {model} cannot be downloaded: {reason}. Download {url} where there is a "
            f"network and save it as {file}, or give the file itself: weights={name}{backbone}."
        ) from None
    return file


def _published(spec: BackboneSpec, version: str) -> Any:
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
        known = [
            f"imagenet_{number}" for number in ("v1", "v2") if f"IMAGENET1K_{number.upper()}" in entries.__members__
        ]
        raise UserError(
            f"weights: there is no '{version}' of {spec.name}. Published: {', '.join(['imagenet', *known])}."
        )
    return entries[entry]
