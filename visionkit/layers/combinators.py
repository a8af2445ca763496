"""What a block does where torch has no layer for it: a few small modules, and the combinators."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

__all__ = [
    "COMBINE",
    "Concat",
    "Gate",
    "Residual",
    "overwrite_input",
]


class Residual(nn.Module):
    """``body(x) + shortcut(x)``, both (B, C, H, W) (He et al. 2016, equation 1).

    In training the body of each image is dropped with ``drop_probability``, and the others are scaled so
    that their mean stays (stochastic depth, Huang et al. 2016).
    """

    def __init__(self, body: nn.Module, shortcut: nn.Module, *, drop_probability: float = 0.0) -> None:
        super().__init__()
        self.body = body
        self.shortcut = shortcut
        self.drop_probability = drop_probability

    def forward(self, x: Tensor) -> Tensor:
        new: Tensor = self.body(x)
        if self.training and self.drop_probability:
            keep = 1 - self.drop_probability
            new = new * new.new_empty(len(new), 1, 1, 1).bernoulli_(keep).div_(keep)
        out: Tensor = new + self.shortcut(x)
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


COMBINE: Mapping[str, Callable[[Any, dict[str, nn.Module]], nn.Module]] = {
    "Sequential": lambda node, children: nn.Sequential(OrderedDict(children)),
    "Residual": lambda node, children: Residual(**children, drop_probability=node.drop_probability),
    "Concat": lambda node, children: Concat(children),
    "Gate": lambda node, children: Gate(**children),
}
"""How each combinator of `visionkit.blocks`, given with its built children, joins them."""


def overwrite_input(layer: nn.Module) -> None:
    """Let an activation write over its input, which no one else holds: less memory, fewer allocations."""
    layer.inplace = True  # type: ignore[assignment]
