"""Modules of the combinators of `visionkit.blocks`: residual sum, concatenation and gate."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

__all__ = [
    "Concat",
    "Gate",
    "Residual",
    "set_inplace",
]


class Residual(nn.Module):
    """``body(x) + shortcut(x)``, both (B, C, H, W) (He et al. 2016, equation 1).

    In training the body is dropped per image with ``drop_probability`` and divided by the keep probability
    otherwise, which preserves its mean (stochastic depth, Huang et al. 2016).
    """

    def __init__(self, body: nn.Module, shortcut: nn.Module, *, drop_probability: float = 0.0) -> None:
        super().__init__()
        self.body = body
        self.shortcut = shortcut
        self.drop_probability = drop_probability

    def forward(self, x: Tensor) -> Tensor:
        residual: Tensor = self.body(x)
        if self.training and self.drop_probability:
            keep_probability = 1 - self.drop_probability
            mask = residual.new_empty(len(residual), 1, 1, 1).bernoulli_(keep_probability)
            residual = residual * mask.div_(keep_probability)
        out: Tensor = residual + self.shortcut(x)
        return out

    def extra_repr(self) -> str:
        return f"drop_probability={self.drop_probability}" if self.drop_probability else ""


class Concat(nn.Module):
    """The outputs of all branches, (B, C_i, H, W), stacked along the channels."""

    def __init__(self, branches: Mapping[str, nn.Module]) -> None:
        super().__init__()
        for name, branch in branches.items():
            self.add_module(name, branch)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.children()], dim=1)


class Gate(nn.Module):
    """``x * body(x)``, the body giving (B, C, 1, 1) or (B, C, H, W) (Hu et al. 2018, section 3)."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x * self.body(x)
        return out


def set_inplace(layer: nn.Module) -> None:
    """Make an activation run in place, which saves memory and allocations."""
    layer.inplace = True  # type: ignore[assignment]
