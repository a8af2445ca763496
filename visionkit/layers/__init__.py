"""What a block does where torch has no layer for it: a few small modules, and the combinators."""

from collections import OrderedDict
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["COMBINE", "Concat", "Gate", "LayerNorm2d", "Residual", "ZeroPadShortcut", "overwrite_input"]


class Residual(nn.Module):
    """``body(x) + shortcut(x)``, both (B, C, H, W) (He et al. 2016, equation 1)."""

    def __init__(self, body: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.body(x) + self.shortcut(x)
        return out


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


class LayerNorm2d(nn.LayerNorm):
    """Layer norm over the channels of each position of a (B, C, H, W) map."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ZeroPadShortcut(nn.Module):
    """Every ``stride``-th cell of a (B, C, H, W) map, with ``new_channels`` zero maps behind (option A)."""

    def __init__(self, new_channels: int, stride: int) -> None:
        super().__init__()
        self.new_channels = new_channels
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.new_channels))

    def extra_repr(self) -> str:
        return f"new_channels={self.new_channels}, stride={self.stride}"


COMBINE: Mapping[str, Callable[[dict[str, nn.Module]], nn.Module]] = {
    "Sequence": lambda children: nn.Sequential(OrderedDict(children)),
    "Residual": lambda children: Residual(children["body"], children["shortcut"]),
    "Concat": Concat,
    "Gate": lambda children: Gate(children["body"]),
}
"""How each combinator of `visionkit.blocks` joins its built children."""


def overwrite_input(layer: nn.Module, *, allowed: bool) -> None:
    """Let an activation write over its input where no one else holds it: less memory, fewer allocations."""
    if allowed and isinstance(layer, nn.ReLU | nn.ReLU6 | nn.SiLU | nn.Hardswish | nn.LeakyReLU):
        layer.inplace = True
