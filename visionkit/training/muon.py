"""Muon for the hidden filters of a network, AdamW for the rest, in one optimizer."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

__all__ = ["Muon", "hidden_filters", "orthogonalize"]

_COEFFICIENTS = 3.4445, -4.7750, 2.0315


def hidden_filters(model: Any) -> set[nn.Parameter]:
    """The parameters that Muon is for: matrices and filters of backbone and neck, but those that see the image.

    The first layer, the head, and what is not a matrix (norms, biases, filters of one input channel) are left to AdamW,
    as published (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon, section "Empirical considerations").

    Args:
        model: A `visionkit.models.VisionModel`, or any module with a ``head``.
    """
    of_head = set(model.head.parameters()) if isinstance(getattr(model, "head", None), nn.Module) else set()
    weights = [weight for weight in model.parameters() if weight.ndim > 1 and weight not in of_head]
    return {weight for weight in weights[1:] if weight.shape[0] > 1 and weight.shape[1] > 1}


def orthogonalize(matrices: Tensor, *, steps: int) -> Tensor:
    """Matrices with the same singular vectors and singular values near 1, by Newton-Schulz iterations (Jordan et al.).

    A step is ``X <- (a + b G + c G^2) X`` with ``G = X X^T``. As those factors commute, they are multiplied first, and
    with the matrix once: of filters of 3x3 pixels that is a third of the arithmetic, in float32 as exact.

    Args:
        matrices: (N, rows, columns) floating point.
        steps: The number of iterations.

    Returns:
        (N, rows, columns) float32, whose singular values lie between 0.7 and 1.2 after 5 steps, but for tiny ones.
    """
    a, b, c = _COEFFICIENTS
    is_tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT.float() if is_tall else matrices.float()
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    gram, product = x @ x.mT, None
    for step in range(steps):
        factor = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        factor.diagonal(dim1=1, dim2=2).add_(a)
        product = factor if product is None else factor @ product
        if step + 1 < steps:
            gram = factor @ gram @ factor
    out: Tensor = x if product is None else product @ x
    return out.mT if is_tall else out


class Muon(torch.optim.Optimizer):
    """Orthogonal steps for groups with ``orthogonal: True``, those of `torch.optim.AdamW` for the others.

    A filter (out, in, h, w) is taken as a matrix (out, in * h * w), and its step is multiplied by the root of rows over
    columns where that is above 1. Filters of one shape are computed together.

    Args:
        params: The parameter groups, each with its own ``lr``.
        lr: The rate of groups without one.
        weight_decay: Decoupled decay of groups without one, times the rate.
        momentum: The share of the old mean of gradients in the new one.
        nesterov: Whether the step looks ahead.
        ns_steps: Newton-Schulz iterations.
        betas: AdamW's.
        eps: AdamW's.
        fused: Whether AdamW's part uses torch's fused kernel.
    """

    def __init__(
        self,
        params: Any,
        *,
        lr: float,
        weight_decay: float = 0.0,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_steps: int = 5,
        betas: tuple[float, float] = (0.9, 0.95),
        eps: float = 1e-8,
        fused: bool = False,
    ) -> None:
        defaults = {"weight_decay": weight_decay, "momentum": momentum, "nesterov": nesterov, "ns_steps": ns_steps}
        super().__init__(
            params, {"lr": lr, **defaults, "betas": betas, "eps": eps, "fused": fused, "orthogonal": False}
        )

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        """One step; parameters without a gradient stay as they are."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            params = [param for param in group["params"] if param.grad is not None]
            (self._step_orthogonal if group["orthogonal"] else self._step_adamw)(group, params)
        return loss

    def _step_orthogonal(self, group: dict[str, Any], params: list[Tensor]) -> None:
        by_shape: dict[tuple[int, int], list[tuple[Tensor, Tensor]]] = {}
        for param in params:
            assert param.grad is not None
            state = self.state[param]
            if not state:
                state["momentum_buffer"] = torch.zeros_like(param)
            mean = state["momentum_buffer"]
            mean.lerp_(param.grad, 1 - group["momentum"])
            update = param.grad.lerp(mean, group["momentum"]) if group["nesterov"] else mean
            matrix = update.reshape(len(param), -1)
            by_shape.setdefault((matrix.shape[0], matrix.shape[1]), []).append((param, matrix))
        for (rows, columns), members in by_shape.items():
            updates = orthogonalize(torch.stack([matrix for _, matrix in members]), steps=group["ns_steps"])
            rate = group["lr"] * max(1.0, rows / columns) ** 0.5
            for (param, _), update in zip(members, updates, strict=True):
                param.mul_(1 - group["lr"] * group["weight_decay"])
                param.add_(update.reshape(param.shape), alpha=-rate)

    def _step_adamw(self, group: dict[str, Any], params: list[Tensor]) -> None:
        for param in params:
            if not self.state[param]:
                step = torch.zeros((), device=param.device if group["fused"] else None)
                self.state[param] = {"step": step} | {n: torch.zeros_like(param) for n in ("exp_avg", "exp_avg_sq")}
        states = [self.state[param] for param in params]
        averages, squares, steps = ([state[n] for state in states] for n in ("exp_avg", "exp_avg_sq", "step"))
        beta1, beta2 = group["betas"]
        adamw(
            params, [param.grad for param in params if param.grad is not None], averages, squares, [], steps,
            fused=group["fused"], amsgrad=False, beta1=beta1, beta2=beta2, lr=group["lr"],
            weight_decay=group["weight_decay"], eps=group["eps"], maximize=False,
        )  # fmt: skip
