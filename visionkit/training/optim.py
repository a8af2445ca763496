"""Optimizers and learning-rate schedules."""

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from visionkit.training.settings import Adam as AdamSettings
from visionkit.training.settings import AdamW, Optimizer, Recipe, Schedule, Sgd

__all__ = ["make_optimizer", "make_schedule", "parameter_groups", "schedule_factor"]


def parameter_groups(model: nn.Module, *, weight_decay: float) -> list[dict[str, object]]:
    """Split the trainable parameters by whether weight decay applies to them.

    Decay spares parameters with at most one dimension: biases, and scale and shift of norms
    (He et al. 2019, "Bag of Tricks", section 3.1).

    Returns:
        The groups that are not empty, for a torch optimizer.
    """
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups: list[dict[str, object]] = [
        {"params": [p for p in trainable if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in trainable if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def make_optimizer(model: nn.Module, *, settings: Optimizer, lr: float, fused: bool = True) -> torch.optim.Optimizer:
    """Build the optimizer over the trainable parameters of a model that already lies on its device.

    Args:
        model: Whose parameters are trained.
        settings: A kind of optimizer and its values.
        lr: The highest learning rate.
        fused: Whether one kernel updates all parameters, on devices that have such kernels.
    """
    groups = parameter_groups(model, weight_decay=settings.weight_decay)
    fused = fused and all(p.device.type in ("cpu", "cuda") and p.is_floating_point() for p in model.parameters())
    if isinstance(settings, Sgd):
        return torch.optim.SGD(
            groups, lr=lr, momentum=settings.momentum, nesterov=settings.nesterov, fused=fused or None
        )
    if not isinstance(settings, AdamSettings):
        raise TypeError(f"no optimizer is built from {type(settings).__name__}")
    kind = torch.optim.AdamW if isinstance(settings, AdamW) else torch.optim.Adam
    return kind(groups, lr=lr, betas=settings.betas, eps=settings.eps, fused=fused or None)


def make_schedule(recipe: Recipe, *, epochs: int | None = None) -> Callable[[int, int], float]:
    """The schedule of a recipe as a pure function of (optimizer step, all steps of the run).

    Args:
        recipe: Its schedule and epochs.
        epochs: The epochs really trained, where they are not the recipe's.
    """
    share = recipe.schedule.warmup_epochs / (epochs or recipe.epochs)
    return partial(schedule_factor, recipe.schedule, warmup=min(share, 0.5))


def schedule_factor(schedule: Schedule, step: int, total: int, *, warmup: float) -> float:
    """The learning rate of one optimizer step, as a share of the highest one.

    Args:
        schedule: Kind and values.
        step: 0 for the first step.
        total: Steps of the run.
        warmup: The share of the run that is linear warm-up; one_cycle has none.
    """
    total = max(total, 1)
    if schedule.type == "one_cycle":
        rising = max(schedule.rise * (total - 1), 1e-12)
        if step < rising:
            return _cosine(schedule.start_factor, 1.0, step / rising)
        return _cosine(1.0, schedule.end_factor, (step - rising) / max(total - 1 - rising, 1e-12))
    warmup_steps = round(warmup * total)
    if step < warmup_steps:
        return (step + 1) / (warmup_steps + 1)
    if schedule.type == "cosine":
        # Divided by the steps left, not one fewer: the last step still learns when end_factor is 0.
        return _cosine(1.0, schedule.end_factor, (step - warmup_steps) / (total - warmup_steps))
    if schedule.type == "step":
        return math.prod(schedule.gamma for milestone in schedule.milestones if step >= milestone * total)
    return 1.0


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * min(share, 1.0))) / 2
