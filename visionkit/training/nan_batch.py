"""The batch whose loss or gradients were not finite: written into the run's folder, and read to be replayed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from visionkit.backbones.weights.load import load_tensors
from visionkit.errors import UserError
from visionkit.files import open_atomic
from visionkit.training.checkpoint_io import tensor_bytes

__all__ = ["NanBatch", "holds_step", "image_names", "read_nan_batch", "write_nan_batch"]


@dataclass(frozen=True, kw_only=True)
class NanBatch:
    """A training batch, and what its step depended on.

    Attributes:
        batch: Images, targets and the samples' indices, before ``recipe.mix`` has mixed them.
        names: The sample names, where they are known.
        weights: The state of the model when this was noticed, on a CPU that before the step.
        seed: That of the run.
        epoch: The epoch, from 1.
        step: The optimizer step, from 1.
        batch_index: The batch of the epoch, from 0.
        process: The process that had it.
        loss: The loss that it gave.
        rate: The learning rate.
    """

    batch: dict[str, Tensor]
    names: list[str]
    weights: dict[str, Tensor]
    seed: int
    epoch: int
    step: int
    batch_index: int
    process: int
    loss: float
    rate: float


_KINDS: Mapping[str, tuple[type, ...]] = {
    "batch": (dict,), "names": (list,), "weights": (dict,), "loss": (float,), "rate": (float, int),
}  # fmt: skip


def write_nan_batch(kept: NanBatch, file: Path) -> None:
    """Write it whole or not at all; an earlier one is replaced."""
    content: dict[str, Any] = {field.name: getattr(kept, field.name) for field in fields(kept)}
    for key in ("batch", "weights"):
        content[key] = {name: value.detach().cpu().clone() for name, value in content[key].items()}
    with open_atomic(file, num_bytes=tensor_bytes(content)) as stream:
        torch.save(content, stream)


def read_nan_batch(file: Path) -> NanBatch:
    """Read what `write_nan_batch` wrote; no code is run.

    Raises:
        UserError: If there is no such file, or it is another one.
    """
    if not file.is_file():
        raise UserError(
            f"debug=nan: there is no '{file}': no step of this run had a loss or gradients that were not finite. "
            "Expected a run that said so."
        )
    try:
        content = load_tensors(file)
        wrong = [f.name for f in fields(NanBatch) if not isinstance(content[f.name], _KINDS.get(f.name, (int,)))]
        tensors = [*content["batch"].values(), *content["weights"].values()]
        if wrong or not all(isinstance(value, Tensor) for value in tensors) or "images" not in content["batch"]:
            raise TypeError(f"{', '.join(wrong) or 'batch'} of another type")
        return NanBatch(**{field.name: content[field.name] for field in fields(NanBatch)})
    except Exception as error:  # of a damaged file, torch raises whatever its bytes lead to
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"debug=nan: '{file}' is not what a run wrote ({type(error).__name__}: {reason}). Expected a file of "
            "tensors and names; nothing else is ever loaded. Try to train the run again"
        ) from None


def holds_step(file: Path, epoch: int, step: int) -> bool:
    """Whether the file is there and is of this step: another process has written it."""
    try:
        kept = read_nan_batch(file)
    except UserError:
        return False
    return (kept.epoch, kept.step) == (epoch, step)


def image_names(index: Tensor | None, datamodule: Any) -> list[str]:
    """The names of the training samples of a batch; none where it does not say which they are.

    Args:
        index: (B,) int64, their indices.
        datamodule: The data of the run; None where the trainer has loaders alone.
    """
    if datamodule is None or index is None or not len(index):
        return []
    dataset = datamodule.dataset("train")
    return [str(dataset.name(position)) for position in index.tolist()]
