"""What a block does where torch has no layer for it: a few small modules, and the combinators."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = [
    "COMBINE",
    "ChannelSlice",
    "Concat",
    "Gate",
    "LayerNorm2d",
    "LayerScale",
    "Pointwise",
    "Residual",
    "SameConv2d",
    "ZeroPadShortcut",
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


class LayerNorm2d(nn.LayerNorm):
    """Layer norm over the channels of each position of a (B, C, H, W) map."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Pointwise(nn.Linear):
    """A fully connected layer over the channels of each position of a (B, C, H, W) map."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class SameConv2d(nn.Conv2d):
    """A convolution of stride 1 that keeps the size of a (B, C, H, W) map, for kernels of even extent.

    The odd cell of padding lies at the far end, as in torch's ``padding="same"``, which warns of its own copy.
    """

    def forward(self, x: Tensor) -> Tensor:
        rooms = [d * (k - 1) for d, k in zip(self.dilation, self.kernel_size, strict=True)]
        top, left = (room // 2 for room in rooms)
        return super().forward(F.pad(x, (left, rooms[1] - left, top, rooms[0] - top)))


class LayerScale(nn.Module):
    """A (B, C, H, W) map times a learned factor for each channel, which begins as ``init_value``."""

    def __init__(self, channels: int, init_value: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((channels, 1, 1), init_value))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight


class ChannelSlice(nn.Module):
    """The ``index``-th of ``parts`` equal parts of a map's channels: (B, C, H, W) to (B, C / parts, H, W)."""

    def __init__(self, index: int, parts: int) -> None:
        super().__init__()
        self.index = index
        self.parts = parts

    def forward(self, x: Tensor) -> Tensor:
        return x.chunk(self.parts, dim=1)[self.index]

    def extra_repr(self) -> str:
        return f"index={self.index}, parts={self.parts}"


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


COMBINE: Mapping[str, Callable[[Any, dict[str, nn.Module]], nn.Module]] = {
    "Sequence": lambda node, children: nn.Sequential(OrderedDict(children)),
    "Residual": lambda node, children: Residual(**children, drop_probability=node.drop_probability),
    "Concat": lambda node, children: Concat(children),
    "Gate": lambda node, children: Gate(**children),
}
"""How each combinator of `visionkit.blocks`, given with its built children, joins them."""


def overwrite_input(layer: nn.Module) -> None:
    """Let an activation write over its input, which no one else holds: less memory, fewer allocations."""
    layer.inplace = True  # type: ignore[assignment]
