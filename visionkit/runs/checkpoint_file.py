"""The reader of a run's checkpoints, which may be damaged, or files of another program."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from visionkit.backbones.weights.load import load_tensors
from visionkit.errors import UserError
from visionkit.runs.weight_fit import advice, check_fit
from visionkit.tasks.averaging import IN_TRAINING, MODEL_PREFIX

__all__ = ["Checkpoint", "check_state", "read_checkpoint"]

_TRAINED = (MODEL_PREFIX, "distillation.")
"""What is trained: the model, and what makes it like its teacher."""
_MAX_COUNT = 2**53
_STATE: Mapping[str, type] = {
    "callbacks": dict, "global_step": int, "hyper_parameters": dict, "loops": dict, "lr_schedulers": list,
    "optimizer_states": list, "pytorch-lightning_version": str,
}  # fmt: skip
_KEYS = {*_STATE, "state_dict", "epoch", "epoch_so_far", "data", "teacher", "MixedPrecision", IN_TRAINING}
_EPOCH = ("fit_loop", "epoch_progress", "current", "completed")
_STEP = ("fit_loop", "epoch_loop.automatic_optimization.optim_progress", "optimizer", "step", "total", "completed")


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint holds.

    Attributes:
        file: The file.
        epoch: The epoch it was written in, from 0.
        global_step: The optimizer steps before it.
        weights: The tensors of the model under its own names; of a run with averaged weights the average.
        data: The content of ``data.json`` when it was written; None where it does not say so.
        config: The configuration it was trained with; None where it does not say so.
        content: All of it, with the state of training.
    """

    file: Path
    epoch: int
    global_step: int
    weights: dict[str, Tensor]
    data: dict[str, Any] | None
    config: dict[str, Any] | None
    content: dict[str, Any]

    @property
    def in_training(self) -> dict[str, Tensor]:
        """Of a run with averaged weights those that are trained on, under the same names; else empty."""
        return _without_prefix(self.content.get(IN_TRAINING))


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
        raise _no_checkpoint(file, _reason(file, error), where) from None
    if not isinstance(content, dict):
        raise _no_checkpoint(file, f"it holds a {type(content).__name__}", where)
    missing = [key for key in ("state_dict", "epoch") if key not in content]
    if missing:
        raise _no_checkpoint(file, f"it has no {' and no '.join(missing)}", where)
    state, epoch, step = content["state_dict"], content["epoch"], content.get("global_step", 0)
    if not (_is_count(epoch) and _is_count(step)):
        raise _no_checkpoint(file, f"its epoch and step are {epoch!r:.40} and {step!r:.40}", where)
    data, config = content.get("data"), content.get("hyper_parameters")
    for key, value in (("data", data), ("hyper_parameters", config)):
        if value is not None and not (isinstance(value, dict) and all(isinstance(name, str) for name in value)):
            raise _no_checkpoint(file, f"its {key} is no mapping", where)
    weights = _without_prefix(state)
    tensors = weights | _without_prefix(content.get(IN_TRAINING))
    wrong = next((name for name, value in tensors.items() if not _is_plain(value)), None)
    if not weights or wrong is not None:
        reason = "it has no weights under 'model.'" if not weights else f"'{wrong:.80}' is no plain tensor"
        raise _no_checkpoint(file, reason, where)
    return Checkpoint(file, epoch, step, weights, data, config, content)


def _without_prefix(state: Any) -> dict[str, Any]:
    if not isinstance(state, Mapping):
        return {}
    return {
        name.removeprefix(MODEL_PREFIX): value for name, value in state.items() if str(name).startswith(MODEL_PREFIX)
    }


def _reason(file: Path, error: Exception) -> str:
    """Why a file cannot be read; torch's own words for one that holds code advise to run it."""
    if file.is_dir():
        return "it is a folder"
    if "weights_only" in str(error):
        return "it is damaged, or holds other objects, which may be code"
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def check_state(
    checkpoint: Checkpoint, model_state: Mapping[str, Tensor], *, epochs: int | None = None, has_plugins: bool = False
) -> None:
    """Check that a training can go on from a checkpoint: that the model's weights and the state of training are in it.

    Args:
        checkpoint: The checkpoint.
        model_state: The state of the model that is to be trained.
        epochs: Those of the run that goes on; None for any number.
        has_plugins: Whether callbacks of the user may have written keys of their own.

    Raises:
        UserError: If anything is missing, left over, of another shape or type, or contradicts the rest.
    """
    file, content = checkpoint.file, checkpoint.content
    for key, kind in _STATE.items():
        if not isinstance(content.get(key), kind):
            reason = f"its {key} is no {kind.__name__}" if key in content else f"it has no {key}"
            raise _no_checkpoint(file, reason, "resume")
    has_plugins = has_plugins or bool(content["hyper_parameters"].get("callbacks"))
    reason = (
        _wrong_key(content, has_plugins=has_plugins)
        or _wrong_average(checkpoint)
        or _wrong_loops(checkpoint, epochs=epochs)
        or _wrong_optimizer(content["optimizer_states"], num_steps=checkpoint.global_step)
        or _wrong_recorder(content["callbacks"].get("Recorder"), epoch=checkpoint.epoch)
        or ("its lr_schedulers are those of another program" if content["lr_schedulers"] else "")
    )
    if reason:
        raise _no_checkpoint(file, reason, "resume")
    check_fit(checkpoint.weights, model_state, file=file, where="resume")


def _wrong_key(content: Mapping[str, Any], *, has_plugins: bool) -> str:
    extra = [] if has_plugins else [key for key in content if key not in _KEYS]
    extra += [key for key in content["state_dict"] if not str(key).startswith(_TRAINED)]
    if extra:
        return f"'{extra[0]!s:.80}' is left over"
    so_far = content.get("epoch_so_far", {"losses": [], "metrics": []})
    is_typed = isinstance(so_far, Mapping) and all(isinstance(so_far.get(key), list) for key in ("losses", "metrics"))
    return "" if is_typed else "its epoch_so_far holds no losses and metrics"


def _wrong_average(checkpoint: Checkpoint) -> str:
    """What is wrong with the weights in training beside the averaged ones."""
    recipe = checkpoint.content["hyper_parameters"].get("recipe")
    is_averaged = isinstance(recipe, Mapping) and bool(recipe.get("ema"))
    if (IN_TRAINING in checkpoint.content) != is_averaged:
        return f"it has no {IN_TRAINING}" if is_averaged else f"'{IN_TRAINING}' is left over"
    for name, value in checkpoint.in_training.items():
        of_average = checkpoint.weights.get(name)
        if of_average is None or (value.shape, value.dtype) != (of_average.shape, of_average.dtype):
            return f"the average of '{name:.80}' is none of its weights in training"
    return ""


def _wrong_loops(checkpoint: Checkpoint, *, epochs: int | None) -> str:
    """What is wrong with the progress of the loops: it is what Lightning goes on from."""
    loops = checkpoint.content["loops"]
    if not _are_counts(loops):
        return "its loops hold what is no count"
    for name, path, stated in (("epoch", _EPOCH, checkpoint.epoch), ("global_step", _STEP, checkpoint.global_step)):
        counted: Any = loops
        for key in path:
            counted = counted.get(key) if isinstance(counted, Mapping) else None
        if counted is None:
            return f"its loops do not say how far it was: no {'.'.join(path)}"
        if counted != stated:
            return f"its {name} is {stated}, and its loops say {counted}"
    if epochs is not None and checkpoint.epoch > epochs:
        return f"it was written in epoch {checkpoint.epoch + 1}, and the run has {epochs}"
    return ""


def _wrong_optimizer(states: list[Any], *, num_steps: int) -> str:
    """What is wrong with the states of the optimizers, of which a training has one."""
    if len(states) != 1:
        return f"its optimizer_states are of {len(states)} optimizers, and there is 1"
    only = states[0] if isinstance(states[0], Mapping) else {}
    state, groups = only.get("state"), only.get("param_groups")
    if not isinstance(state, Mapping) or not isinstance(groups, list) or not groups:
        return "its optimizer_states hold no state and no param_groups"
    if not all(isinstance(group, Mapping) and isinstance(group.get("params"), list) for group in groups):
        return "its optimizer_states hold param_groups without params"
    has_moments = any(group.get("momentum") or group.get("betas") for group in groups)
    if has_moments and num_steps and not state:
        return f"its optimizer_states have no moments after {num_steps} steps"
    tensors = [value for moments in state.values() if isinstance(moments, Mapping) for value in moments.values()]
    if not all(_is_plain(value) for value in tensors if isinstance(value, Tensor)):
        return "its optimizer_states hold what is no plain tensor"
    return ""


def _wrong_recorder(state: Any, *, epoch: int) -> str:
    """What is wrong with the best score so far."""
    if not isinstance(state, Mapping):
        return "its callbacks have no Recorder, which knows the best epoch"
    score, best = state.get("best_score"), state.get("best_epoch")
    is_score = score is None or (type(score) in (int, float) and math.isfinite(score))
    if not is_score or not (isinstance(best, int) and _is_count(best) and best <= epoch + 1):
        return f"its best_score {score!r:.40} and best_epoch {best!r:.40} are not those of epoch {epoch + 1}"
    return ""


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
        f"nothing else is ever loaded. {advice(file)}"
    )
