"""A loss that a person gives in Python, as an object, in the place of those that ``head.loss`` names."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from visionkit.errors import UserError
from visionkit.losses.spec import LossSpec
from visionkit.registry import Registry
from visionkit.structures.class_ids import IGNORE_INDEX

__all__ = ["LOSS_TARGETS", "PythonLossSpec"]

LOSS_TARGETS = {"classify": "label", "multilabel": "label_set", "segment": "mask"}
"""The tasks whose heads have one clear loss, of logits and targets, and the key of these targets."""


@dataclass(frozen=True, kw_only=True)
class PythonLossSpec(LossSpec):
    """``function(logits, targets)``, a scalar tensor or a dict of them, whose sum is minimised.

    Logits are (B, K) or (B, K, H, W) floating point. Targets are labels (B,) int64 in ``classify``, label sets (B, K)
    of 0 and 1 in the type of the logits in ``multilabel``, and masks (B, H, W) int64 with 255 for ignored pixels in
    ``segment``. In evaluation it is called for each image alone, without those of which all pixels are ignored, and
    the mean over images counts, unless `visionkit.losses.sums.with_sums` names a function for whole batches.

    Attributes:
        function: A callable; a `torch.nn.Module` is copied, and its parameters are trained and saved.
        task: The task of the run.
    """

    function: Callable[..., Any]
    task: str

    def name(self, registry: Registry[LossSpec]) -> str:
        return "own_loss"

    def arguments(self, head: Any) -> dict[str, Any]:
        return {}

    def load_function(self, registry: Registry[LossSpec]) -> Callable[..., Any]:
        return _PythonLoss(self.function, self.task)


class _PythonLoss:
    """The loss with the targets as it wants them, and words for what it gives.

    Attributes:
        module: The loss, if it is a module; else None.
    """

    def __init__(self, function: Callable[..., Any], task: str) -> None:
        from torch import nn

        self.function = copy.deepcopy(function) if isinstance(function, nn.Module) else function
        self.module = self.function if isinstance(self.function, nn.Module) else None
        self.task = task

    def __call__(self, logits: Any, targets: Any) -> Any:
        if self.task == "segment":
            targets = targets.long()
        elif self.task == "multilabel":
            targets = targets.to(logits.dtype)
        return _check(self.function(logits, targets))

    def sums(self, logits: Any, targets: Any) -> Any:
        """The sums of a batch in evaluation; see `visionkit.losses.spec.LossTerm.sums`."""
        import torch

        from visionkit.losses.sums import LossSums, sums_function

        own_sums = None if self.module is not None else sums_function(self.function)
        if own_sums is not None:
            return own_sums(logits, targets)
        if self.task == "segment":
            counted = (targets != IGNORE_INDEX).flatten(1).any(dim=1)
            logits, targets = logits[counted], targets[counted]
        if not len(logits):
            zeros: Any = self(logits.new_zeros(1, *logits.shape[1:]), targets.new_zeros(1, *targets.shape[1:]))
            names = zeros if isinstance(zeros, dict) else {"": zeros}
            values = {name: LossSums.of_mean(torch.zeros((), device=logits.device), 0) for name in names}
        else:
            losses = [self(*pair) for pair in zip(logits.split(1), targets.split(1), strict=True)]
            parts = [loss if isinstance(loss, dict) else {"": loss} for loss in losses]
            values = {
                name: LossSums.of_mean(torch.stack([part[name].detach() for part in parts]).mean(), len(parts))
                for name in parts[0]
            }
        return values[""] if list(values) == [""] else values


def _check(loss: Any) -> Any:
    """A scalar tensor, or a dict of them."""
    from torch import Tensor

    parts = loss if isinstance(loss, Mapping) else {"loss": loss}
    for name, part in parts.items():
        if not isinstance(part, Tensor) or part.ndim:
            found = f"a tensor of shape {tuple(part.shape)}" if isinstance(part, Tensor) else type(part).__name__
            of_part = f" for '{name}'" if isinstance(loss, Mapping) else ""
            raise UserError(f"loss: it gave {found}{of_part}. Expected a scalar tensor, or a dict of scalar tensors.")
    if isinstance(loss, Mapping) and (not loss or "loss" in loss or any(not isinstance(name, str) for name in loss)):
        raise UserError(
            f"loss: it gave the parts {', '.join(map(str, loss)) or 'of an empty dict'}. Expected names other than "
            "'loss', which is the name of their sum."
        )
    return dict(loss) if isinstance(loss, Mapping) else loss
