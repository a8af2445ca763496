"""Reading weights from files, and loading them into a backbone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from visionkit.backbones.backbone import Backbone
from visionkit.errors import UserError

__all__ = ["load_backbone_weights", "load_strictly", "read_state_dict"]


def read_state_dict(path: str | Path) -> dict[str, Tensor]:
    """The tensors in a file of weights; no code in it can run.

    Args:
        path: A .safetensors file, or a .pth, .pt or .ckpt file holding a state dict, perhaps under
            ``state_dict`` or ``model``. A Lightning checkpoint's ``model.`` prefix is taken off.

    Raises:
        UserError: If the file is missing or is no file of weights.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"weights: file '{path}' does not exist. Give a .safetensors, .ckpt or .pth file.")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return dict(load_file(path))
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        reason = str(error).split("\n")[0]
        raise UserError(
            f"weights: '{path}' cannot be read as a file of weights: {reason[:200]}. "
            "Expected a .safetensors file, or a .pth or .ckpt file that holds tensors alone."
        ) from None
    for key in ("state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not all(isinstance(v, Tensor) for v in content.values()):
        raise UserError(
            f"weights: '{path}' holds no state dict. Expected a mapping of names to tensors, "
            "such as torch.save(model.state_dict(), FILE) writes."
        )
    if content and all(key.startswith("model.") for key in content):
        content = {key.removeprefix("model."): value for key, value in content.items()}
    return dict(content)


def load_strictly(module: nn.Module, state: Mapping[str, Tensor], *, source: str) -> None:
    """Load tensors into a module; every name and shape must match.

    Raises:
        UserError: Naming the keys that are missing, left over, or of another shape.
    """
    own = module.state_dict()
    missing = [key for key in own if key not in state]
    extra = [key for key in state if key not in own]
    shapes = [
        f"{key}: {tuple(state[key].shape)} in the file, {tuple(own[key].shape)} in the network"
        for key in own
        if key in state and own[key].shape != state[key].shape
    ]
    problems = [
        f"{title} ({len(keys)}): {', '.join(keys[:4])}{', ...' if len(keys) > 4 else ''}"
        for title, keys in (("missing", missing), ("left over", extra), ("other shapes", shapes))
        if keys
    ]
    if problems:
        raise UserError(f"weights: '{source}' does not fit this network. {'; '.join(problems)}.")
    module.load_state_dict(dict(state))


def load_backbone_weights(backbone: Backbone, path: str | Path) -> None:
    """Start a backbone from a file of weights of its own, or of a whole model around it.

    Raises:
        UserError: If the file cannot be read or does not fit.
    """
    state = read_state_dict(path)
    inner = {key.removeprefix("backbone."): value for key, value in state.items() if key.startswith("backbone.")}
    load_strictly(backbone, inner or state, source=str(path))
