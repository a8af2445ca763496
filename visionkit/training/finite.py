"""Whether weights are numbers: those of a model, before a checkpoint is replaced, and those of a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from visionkit.backbones.weights.load import load_tensors
from visionkit.distributed.comm import all_reduce_sum
from visionkit.errors import UserError

__all__ = ["check_checkpoint", "check_model", "first_non_finite"]


def first_non_finite(state: Mapping[str, Tensor]) -> str | None:
    """The name of the first floating-point tensor with a value that is infinite or no number; None if there is none."""
    tensors = {name: _local(value) for name, value in state.items() if value.is_floating_point() and value.numel()}
    if not tensors:
        return None
    finite = torch.stack([torch.isfinite(tensor).all() for tensor in tensors.values()]).tolist()
    return next((name for name, is_finite in zip(tensors, finite, strict=True) if not is_finite), None)


def check_model(model: torch.nn.Module, *, epoch: int, rate: float) -> None:
    """Check the weights and buffers of a model in all processes, once an epoch.

    Raises:
        UserError: In all processes, if one has a value that is not finite.
    """
    name = first_non_finite(model.state_dict())
    if all_reduce_sum([int(name is not None)]) == [0]:
        return
    raise UserError(
        f"training diverged: {name or 'a weight'} is not finite after epoch {epoch} (learning rate "
        f"{rate:.3g}), though the losses were. The checkpoints before it are kept. "
        f"Try a smaller rate (recipe.lr={rate / 10:.1g}), or limit the gradients (recipe.clip_norm=1.0)"
    )


def check_checkpoint(file: Path, *, best: Path) -> None:
    """Check the weights of a checkpoint that a run is to go on from.

    Args:
        file: The checkpoint.
        best: That of the best epoch, which the message names if it is finite.

    Raises:
        UserError: If a value is not finite.
    """
    name = first_non_finite(_weights(file))
    if name is None:
        return
    advice = "Begin a new run with a smaller recipe.lr"
    if file != best and best.is_file() and first_non_finite(_weights(best)) is None:
        advice = f"The last finite one is '{best}'. To go on from it: cp '{best}' '{file}'"
    raise UserError(f"resume: the weights in '{file}' are not finite, such as '{name}': the run diverged. {advice}")


def _weights(file: Path) -> dict[str, Tensor]:
    try:
        checkpoint: dict[str, Any] = load_tensors(file, "cpu")
        return {name: value for name, value in checkpoint["state_dict"].items() if isinstance(value, Tensor)}
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"resume: '{file}' is no checkpoint of a run ({type(error).__name__}). Expected the file that train wrote. "
            "Begin a new run"
        ) from None


def _local(value: Tensor) -> Tensor:
    part: Any = value
    return part.to_local() if hasattr(part, "to_local") else value
