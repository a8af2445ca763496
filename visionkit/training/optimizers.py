"""Optimizers and their parameter groups."""

from collections.abc import Collection, Mapping
from dataclasses import fields
from inspect import signature
from typing import Any

import torch
from torch import nn

from visionkit.settings import OPTIMIZERS, Muon, Optimizer
from visionkit.training.muon import hidden_filters

__all__ = ["make_optimizer", "parameter_groups", "rate_scales"]


def rate_scales(
    model: Any, *, layer_decay: float | None = None, backbone_lr: float | None = None
) -> dict[nn.Parameter, float]:
    """What the learning rates of the backbone's parameters are multiplied by; those of neck and head have no entry.

    Stage ``i`` of ``N`` stages with parameters, counted from 1, has ``backbone_lr * layer_decay ** (N + 1 - i)``
    (Clark et al. 2020, ELECTRA, section 3.1; Bao et al. 2022, BEiT, arXiv:2106.08254, section 2.4).

    Args:
        model: A `visionkit.models.VisionModel`.
        layer_decay: The factor from each stage to the one before it; None for 1.
        backbone_lr: The factor of the whole backbone; None for 1.
    """
    if layer_decay is None and backbone_lr is None:
        return {}
    base, decay = backbone_lr or 1.0, layer_decay or 1.0
    scales = dict.fromkeys(model.backbone.parameters(), base)
    stages = [parameters for parameters in model.backbone.stage_parameters().values() if parameters]
    for depth, parameters in enumerate(reversed(stages), start=1):
        scales |= dict.fromkeys(parameters, base * decay**depth)
    return scales


def parameter_groups(
    model: nn.Module,
    *,
    weight_decay: float,
    scales: Mapping[nn.Parameter, float] | None = None,
    orthogonal: Collection[nn.Parameter] = (),
    thawing: Collection[nn.Parameter] = (),
) -> list[dict[str, Any]]:
    """Split the trainable parameters by what an optimizer does with them.

    Parameters with at most one dimension have no weight decay: biases, and scale and shift of norms
    (He et al. 2019, "Bag of Tricks", section 3.1).

    Args:
        model: The model to train.
        weight_decay: That of parameters with more dimensions.
        scales: What the learning rates of parameters are multiplied by; 1 for those that are not in it.
        orthogonal: The parameters that `visionkit.training.muon.Muon` gives orthogonal steps.
        thawing: Frozen parameters that will be trained later.

    Returns:
        The non-empty parameter groups of a torch optimizer, those with orthogonal steps first, then by falling rate.
        ``lr_scale`` is the factor of a group's rate where that is not 1, ``orthogonal`` says which steps it has.
    """
    scales = scales or {}
    groups: dict[tuple[bool, float, bool], list[nn.Parameter]] = {}
    for parameter in model.parameters():
        if parameter.requires_grad or parameter in thawing:
            key = parameter in orthogonal, scales.get(parameter, 1.0), parameter.ndim > 1
            groups.setdefault(key, []).append(parameter)
    return [
        {"params": parameters, "weight_decay": weight_decay if decayed else 0.0}
        | ({} if scale == 1 else {"lr_scale": scale})
        | ({"orthogonal": True} if is_orthogonal else {})
        for (is_orthogonal, scale, decayed), parameters in sorted(
            groups.items(), key=lambda item: item[0], reverse=True
        )
    ]


def make_optimizer(
    model: nn.Module,
    *,
    settings: Optimizer,
    lr: float,
    fused: bool = True,
    layer_decay: float | None = None,
    backbone_lr: float | None = None,
    thawing: Collection[nn.Parameter] = (),
) -> torch.optim.Optimizer:
    """Build the optimizer of the trainable parameters of a model that is already on its device.

    Args:
        model: The model to train.
        settings: The type of optimizer and its hyper-parameters.
        lr: The base learning rate, the highest of the schedule.
        fused: Whether to use torch's fused kernels where the device has them.
        layer_decay: As in `rate_scales`.
        backbone_lr: As in `rate_scales`.
        thawing: As in `parameter_groups`.
    """
    is_muon = isinstance(settings, Muon)
    groups = parameter_groups(
        model,
        weight_decay=settings.weight_decay,
        scales=rate_scales(model, layer_decay=layer_decay, backbone_lr=backbone_lr),
        orthogonal=hidden_filters(model) if is_muon else (),
        thawing=thawing,
    )
    for group in groups:
        rate = settings.adamw_lr if isinstance(settings, Muon) and "orthogonal" not in group else lr
        if "lr_scale" in group or rate != lr:
            group["lr"] = rate * group.get("lr_scale", 1.0)
    fused = fused and all(p.device.type in ("cpu", "cuda") and p.is_floating_point() for p in model.parameters())
    optimizer_class = OPTIMIZERS.module_of(type(settings))
    left_out = ("weight_decay", "adamw_lr") if is_muon else ("weight_decay",)
    options = {field.name: getattr(settings, field.name) for field in fields(settings) if field.name not in left_out}
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
