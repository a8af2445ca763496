"""The reader of a run's checkpoints, which may be damaged, or files of another program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from visionkit.backbones.weights.load import load_tensors
from visionkit.errors import UserError

__all__ = ["Checkpoint", "check_state", "read_checkpoint"]

_PREFIX = "model."
_MAX_COUNT = 2**53
_STATE: Mapping[str, type] = {
    "callbacks": dict, "global_step": int, "hyper_parameters": dict, "loops": dict, "lr_schedulers": list,
    "optimizer_states": list, "pytorch-lightning_version": str,
}  # fmt: skip


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint holds.

    Attributes:
        file: The file.
        epoch: The epoch it was written in, from 0.
        global_step: The optimizer steps before it.
        weights: The tensors of the model under its own names.
        content: All of it, with the state of training.
    """

    file: Path
    epoch: int
    global_step: int
    weights: dict[str, Tensor]
    content: dict[str, Any]


def read_checkpoint(file: Path, *, where: str = "run") -> Checkpoint:
    """Read a checkpoint into the memory of the CPU.

    Args:
        file: ``last.ckpt`` or ``best.ckpt`` of a run.
        where: What an error message starts with.

    Raises:
        UserError: If the file is damaged, holds more than tensors and plain values, or is no checkpoint of a run.
    """
    try:
        content = load_tensors(file)
    except Exception as error:  # of a damaged file, torch raises whatever its bytes lead to
        reason = "it is a folder" if file.is_dir() else f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        raise _no_checkpoint(file, reason, where) from None
    if not isinstance(content, dict):
        raise _no_checkpoint(file, f"it holds a {type(content).__name__}", where)
    missing = [key for key in ("state_dict", "epoch") if key not in content]
    if missing:
        raise _no_checkpoint(file, f"it has no {' and no '.join(missing)}", where)
    state, epoch, step = content["state_dict"], content["epoch"], content.get("global_step", 0)
    if not (_is_count(epoch) and _is_count(step)):
        raise _no_checkpoint(file, f"its epoch and step are {epoch!r:.40} and {step!r:.40}", where)
    weights = (
        {name.removeprefix(_PREFIX): value for name, value in state.items() if str(name).startswith(_PREFIX)}
        if isinstance(state, Mapping)
        else {}
    )
    wrong = next((name for name, value in weights.items() if not _is_plain(value)), None)
    if not weights or wrong is not None:
        reason = "it has no weights under 'model.'" if not weights else f"'{wrong:.80}' is no plain tensor"
        raise _no_checkpoint(file, reason, where)
    return Checkpoint(file, epoch, step, weights, content)


def check_state(checkpoint: Checkpoint, model_state: Mapping[str, Tensor]) -> None:
    """Check that a training can go on from a checkpoint: that the model's weights and the state of training are in it.

    Args:
        checkpoint: The checkpoint.
        model_state: The state of the model that is to be trained.

    Raises:
        UserError: If anything is missing, or has another shape.
    """
    file, content, weights = checkpoint.file, checkpoint.content, checkpoint.weights
    for key, kind in _STATE.items():
        if not isinstance(content.get(key), kind):
            reason = f"its {key} is no {kind.__name__}" if key in content else f"it has no {key}"
            raise _no_checkpoint(file, reason, "resume")
    if not _are_counts(content["loops"]):
        raise _no_checkpoint(file, "its loops hold what is no count", "resume")
    names = [name for name in dict.fromkeys([*model_state, *weights]) if name not in weights or name not in model_state]
    shapes = [name for name, value in model_state.items() if name in weights and value.shape != weights[name].shape]
    if names or shapes:
        name = (names or shapes)[0]
        raise UserError(
            f"resume: the weights in '{file}' do not fit the config.yaml of the run, such as '{name}' "
            f"({len(names) + len(shapes)} in all). Expected the checkpoint that this run wrote. {_advice(file)}"
        )


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < _MAX_COUNT


def _are_counts(value: Any) -> bool:
    """Whether nested mappings and lists hold counts and booleans alone."""
    if isinstance(value, (Mapping, list)):
        return all(map(_are_counts, value.values() if isinstance(value, Mapping) else value))
    return type(value) is bool or _is_count(value)


def _is_plain(value: Any) -> bool:
    """Whether a value is a dense tensor with as much memory as it has values."""
    return (
        isinstance(value, Tensor)
        and value.layout == torch.strided
        and value.device.type == "cpu"
        and not value.is_quantized
        and not value.is_complex()
        and value.untyped_storage().nbytes() >= value.nbytes
    )


def _no_checkpoint(file: Path, reason: str, where: str) -> UserError:
    return UserError(
        f"{where}: '{file}' is no checkpoint that train wrote ({reason}). Expected a file of tensors and numbers; "
        f"nothing else is ever loaded. {_advice(file)}"
    )


def _advice(file: Path) -> str:
    return f"Try another run, or train again: python -m visionkit train run={file.parent.parent}"
