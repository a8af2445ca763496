"""Optimizers and their parameter groups."""

from dataclasses import fields
from inspect import signature

import torch
from torch import nn

from visionkit.settings import OPTIMIZERS, Optimizer

__all__ = ["make_optimizer", "parameter_groups"]


def parameter_groups(model: nn.Module, *, weight_decay: float) -> list[dict[str, object]]:
    """Split the trainable parameters by whether weight decay applies to them.

    Parameters with at most one dimension have none: biases, and scale and shift of norms
    (He et al. 2019, "Bag of Tricks", section 3.1).

    Returns:
        The non-empty parameter groups of a torch optimizer.
    """
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups: list[dict[str, object]] = [
        {"params": [p for p in trainable if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in trainable if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def make_optimizer(model: nn.Module, *, settings: Optimizer, lr: float, fused: bool = True) -> torch.optim.Optimizer:
    """Build the optimizer of the trainable parameters of a model that is already on its device.

    Args:
        model: The model to train.
        settings: The type of optimizer and its hyper-parameters.
        lr: The base learning rate, the highest of the schedule.
        fused: Whether to use torch's fused kernels where the device has them.
    """
    groups = parameter_groups(model, weight_decay=settings.weight_decay)
    fused = fused and all(p.device.type in ("cpu", "cuda") and p.is_floating_point() for p in model.parameters())
    optimizer_class = OPTIMIZERS.module_of(type(settings))
    options = {field.name: getattr(settings, field.name) for field in fields(settings) if field.name != "weight_decay"}
    if fused and "fused" in signature(optimizer_class).parameters:
        options["fused"] = True
    optimizer: torch.optim.Optimizer = optimizer_class(groups, lr=lr, **options)
    optimizer.register_load_state_dict_post_hook(_match_layout)
    return optimizer


def _match_layout(optimizer: torch.optim.Optimizer) -> None:
    """Lay the moments of a checkpoint out as the parameters, of a run resumed with another ``hardware.channels_last``.

    On the CPU torch's fused kernels (2.14) walk memory and add the moments of one weight to another otherwise.
    """
    for parameter, state in optimizer.state.items():
        for name, moment in state.items():
            is_moment = isinstance(moment, torch.Tensor) and moment.shape == parameter.shape
            if is_moment and moment.stride() != parameter.stride():
                state[name] = torch.empty_like(parameter, dtype=moment.dtype).copy_(moment)
