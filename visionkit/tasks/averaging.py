"""The exponential moving average of a model's weights over the steps of a training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from visionkit.distributed.comm import broadcast_tensors
from visionkit.settings import Ema

__all__ = ["IN_TRAINING", "MODEL_PREFIX", "AveragedTraining", "WeightAverage", "average_decay"]

IN_TRAINING = "weights_in_training"
"""Key of a checkpoint: of a run with averaged weights those that are trained on, named as in its ``state_dict``."""

MODEL_PREFIX = "model."
"""Of the model's tensors in the state of a task."""

_WARMUP_POWER = 2 / 3


def average_decay(num_updates: int, *, decay: float, warmup: bool) -> float:
    """What is kept of the average in an update.

    The first update takes the weights as they are, so that the random initial ones are forgotten. With warm-up, update
    n + 1 keeps 1 - (1 + n)^(-2/3) at most: the average is one of about the last n^(2/3) steps, a sixth of a run of 200
    steps and a tenth of one of 1,000, and ``decay`` is reached where that is longer (0.9998 after 350,000 steps). This
    is the warm-up of `timm.utils.ModelEmaV3`, after K. Crowson.

    Args:
        num_updates: The updates before this one.
        decay: The largest.
        warmup: Whether it climbs.
    """
    if num_updates == 0:
        return 0.0
    return min(decay, 1 - (1 + num_updates) ** -_WARMUP_POWER) if warmup else decay


class WeightAverage:
    """The average of a model's parameters and of the statistics of its batch norms.

    The statistics are averaged as the weights are (as in `timm.utils.ModelEmaV3`), since they belong to them; all other
    buffers of the averaged model are the model's newest ones. Beside the average the model itself goes on unchanged,
    and both `exchange` their tensors for an evaluation.

    Args:
        model: The model, on its device; its parameters stay the same objects.
        decay: As of `average_decay`.
        warmup: Likewise.

    Attributes:
        num_updates: The updates so far.
        is_exchanged: Whether the model holds the average at this moment, and this object the weights in training.
    """

    def __init__(self, model: nn.Module, *, decay: float, warmup: bool) -> None:
        self.decay, self.warmup = decay, warmup
        self.num_updates = 0
        self.is_exchanged = False
        named = _averaged_tensors(model)
        indices: dict[int, int] = {}
        self._names = {name: indices.setdefault(id(tensor), len(indices)) for name, tensor in named.items()}
        self._tensors: list[Tensor] = list({id(tensor): tensor for tensor in named.values()}.values())
        self._others = [tensor.detach().clone() for tensor in self._tensors]
        self._statistics = [index for index, tensor in enumerate(self._tensors) if not isinstance(tensor, nn.Parameter)]

    @torch.no_grad()
    def update(self) -> None:
        """Take the weights of one more optimizer step into the average."""
        weight = 1 - average_decay(self.num_updates, decay=self.decay, warmup=self.warmup)
        torch._foreach_lerp_(self._others, self._tensors, weight)
        self.num_updates += 1

    def exchange(self, *, averaged: bool) -> None:
        """Let the model hold the average, or again the weights in training; nothing is copied or computed.

        Args:
            averaged: Which of both; nothing happens if the model holds them.
        """
        if averaged == self.is_exchanged:
            return
        with torch.inference_mode(False):  # a tensor that is made within it could not be trained
            for index, tensor in enumerate(self._tensors):
                tensor.data, self._others[index] = self._others[index], tensor.data
        self.is_exchanged = averaged

    def broadcast(self) -> None:
        """Copy the first process's averaged statistics to all processes, while the model holds the other ones."""
        broadcast_tensors([self._others[index] for index in self._statistics])

    def averaged(self) -> dict[str, Tensor]:
        """The average by the names of the model's state, whoever holds it."""
        return self._by_name(self._tensors if self.is_exchanged else self._others)

    def in_training(self) -> dict[str, Tensor]:
        """The weights in training by the same names."""
        return self._by_name(self._others if self.is_exchanged else self._tensors)

    @torch.no_grad()
    def load_state(self, averaged: Mapping[str, Any], *, num_updates: int) -> None:
        """Go on from an average that `averaged` gave, after so many updates."""
        for name, index in self._names.items():
            self._others[index].copy_(averaged[name])
        self.num_updates = num_updates

    def _by_name(self, tensors: list[Tensor]) -> dict[str, Tensor]:
        return {name: tensors[index].detach() for name, index in self._names.items()}


class AveragedTraining:
    """The average of a training, and its place in the training's checkpoints.

    In a checkpoint ``state_dict`` is the averaged model's, so that whoever reads one finds the model that was
    evaluated, and `IN_TRAINING` holds the weights that the training goes on with.

    Args:
        ema: The settings of the average; None for a training without one, in which nothing happens.
    """

    def __init__(self, ema: Ema | None) -> None:
        self.ema = ema
        self._average: WeightAverage | None = None
        self._restored: dict[str, Tensor] | None = None

    def start(self, model: nn.Module, *, num_updates: int) -> None:
        """Begin the average of a model, on its device, or go on with the one that `restore` has found.

        Args:
            model: The model; in a second training it is the same one.
            num_updates: The optimizer steps before this.
        """
        if self.ema is None:
            return
        if self._average is None:
            self._average = WeightAverage(model, decay=self.ema.decay, warmup=self.ema.warmup)
        self._average.exchange(averaged=False)
        if self._restored is not None:
            self._average.load_state(self._restored, num_updates=num_updates)
        self._restored = None

    def update(self) -> None:
        """Take the weights of one more optimizer step into the average."""
        if self._average is not None:
            self._average.update()

    def exchange(self, *, averaged: bool) -> None:
        """As `WeightAverage.exchange`; the statistics become those of the first process."""
        if self._average is not None and averaged != self._average.is_exchanged:
            if averaged:
                self._average.broadcast()
            self._average.exchange(averaged=averaged)

    def averaged(self) -> dict[str, Tensor]:
        """As `WeightAverage.averaged`; empty without one."""
        return {} if self._average is None else self._average.averaged()

    def store(self, checkpoint: dict[str, Any]) -> None:
        """Complete a checkpoint, whose ``state_dict`` is that of whatever the model holds at this moment."""
        if self._average is not None:
            checkpoint["state_dict"] = {**checkpoint["state_dict"], **_prefixed(self._average.averaged())}
            checkpoint[IN_TRAINING] = _prefixed(self._average.in_training())

    def restore(self, checkpoint: dict[str, Any]) -> None:
        """Keep the average of a checkpoint until `start`, and let its ``state_dict`` be that of the training."""
        in_training = checkpoint.get(IN_TRAINING)
        if self.ema is None or in_training is None:
            return
        state = checkpoint["state_dict"]
        self._restored = {name.removeprefix(MODEL_PREFIX): state[name] for name in in_training}
        checkpoint["state_dict"] = {**state, **in_training}


def _prefixed(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{MODEL_PREFIX}{name}": tensor for name, tensor in tensors.items()}


def _averaged_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and statistics by all their names in the model's state."""
    tensors: dict[str, Tensor] = dict(model.named_parameters(remove_duplicate=False))
    for prefix, module in model.named_modules(remove_duplicate=False):
        if isinstance(module, _NormBase):
            for name, statistic in module.named_buffers(recurse=False):
                tensors[f"{prefix}.{name}" if prefix else name] = statistic
    return {name: tensor for name, tensor in tensors.items() if tensor.is_floating_point()}
