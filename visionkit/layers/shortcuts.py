"""Layers without weights: the zero-padded shortcut and the slice of channels."""

from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["ChannelSlice", "ZeroPadShortcut"]


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
    """Every ``stride``-th cell of a (B, C, H, W) map, followed by ``new_channels`` zero channels (option A)."""

    def __init__(self, new_channels: int, stride: int) -> None:
        super().__init__()
        self.new_channels = new_channels
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.new_channels))

    def extra_repr(self) -> str:
        return f"new_channels={self.new_channels}, stride={self.stride}"
