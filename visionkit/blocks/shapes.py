"""What flows through a network, as far as arithmetic needs to know it: sizes and geometry.

The formulas are those of Dumoulin & Visin 2016 (arXiv:1603.07285) for sizes and of
Araujo, Norris & Sim 2019 (doi:10.23915/distill.00021) for receptive field, jump and offset.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

BYTES = 4
"""Of one number of a map: float32."""

__all__ = ["BYTES", "Axis", "DoesNotFitError", "FeatureShape", "TooSmallError", "Window", "pair"]


class DoesNotFitError(ValueError):
    """A layer that cannot take its input."""


class TooSmallError(DoesNotFitError):
    """A window larger than its padded input: a larger image would do."""


def pair(value: int | tuple[int, int]) -> tuple[int, int]:
    """One number for both axes, or (height, width) as it is."""
    return (value, value) if isinstance(value, int) else value


@dataclass(frozen=True)
class Window:
    """A kernel that slides along one axis, in cells of its input; ``padding_end`` where it differs from the start."""

    kernel: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    ceil_mode: bool = False
    padding_end: int | None = None

    @property
    def extent(self) -> int:
        """Cells from the first to the last tap: ``D (F - 1) + 1``."""
        return self.dilation * (self.kernel - 1) + 1

    def output_size(self, size: int) -> int:
        """``floor((W + 2P - D(F-1) - 1) / S) + 1``, or with ceil as torch's pools do it.

        Raises:
            TooSmallError: If the kernel is larger than the padded input.
        """
        room = size + self.padding + (self.padding if self.padding_end is None else self.padding_end) - self.extent
        if room < 0:
            raise TooSmallError(f"a window of {self.extent} cells does not fit into {size} (padding {self.padding})")
        if not self.ceil_mode:
            return room // self.stride + 1
        cells = -(-room // self.stride) + 1
        starts_in_right_padding = (cells - 1) * self.stride >= size + self.padding
        return cells - 1 if starts_in_right_padding else cells

    def formula(self, size: int) -> str:
        """`output_size` with its numbers put in, such as ``1 + (224 + 2*2 - 11)/4 = 55``; ``/`` rounds down."""
        cells = self.output_size(size)
        padded = f"2*{self.padding}" if self.padding_end is None else f"{self.padding} + {self.padding_end}"
        extent = f"{self.kernel}" if self.dilation == 1 else f"{self.dilation}*({self.kernel} - 1) - 1"
        fraction = f"({size} + {padded} - {extent})/{self.stride}"
        if not self.ceil_mode:
            return f"1 + {fraction} = {cells}"
        room = size + 2 * self.padding - self.extent
        dropped = " - 1" if -(-room // self.stride) + 1 > cells else ""  # that window would lie in padding alone
        return f"1 + ceil({fraction}){dropped} = {cells}"


@dataclass(frozen=True)
class Axis:
    """One spatial axis of a feature map.

    Attributes:
        size: Cells along the axis.
        jump: Pixels of the image from one cell to the next; None after a global operation.
        receptive_field: Pixels of the image that one cell sees; None after a global operation.
        offset: Index of the pixel on which the first cell is centred (the first pixel is 0.0).
    """

    size: int
    jump: int | None = 1
    receptive_field: int | None = 1
    offset: float | None = 0.0

    def slide(self, window: Window) -> Axis:
        """The axis after a sliding window.

        Raises:
            TooSmallError: If the kernel is larger than the padded input.
        """
        size = window.output_size(self.size)
        if self.jump is None or self.offset is None:
            return replace(self, size=size)
        view = self.receptive_field
        return Axis(
            size=size,
            jump=self.jump * window.stride,
            receptive_field=None if view is None else view + (window.extent - 1) * self.jump,
            offset=self.offset + ((window.extent - 1) / 2 - window.padding) * self.jump,
        )

    def adapt(self, size: int) -> Axis:
        """The axis after adaptive pooling to a fixed number of cells: its geometry depends on the image."""
        return self if size == self.size else Axis(size, None, None, None)


@dataclass(frozen=True)
class FeatureShape:
    """A feature map without its batch axis."""

    channels: int
    height: Axis
    width: Axis

    @classmethod
    def image(cls, channels: int, size: int | tuple[int, int]) -> FeatureShape:
        """The image itself; ``size`` in pixels, one number or (height, width)."""
        height, width = pair(size)
        return cls(channels, Axis(height), Axis(width))

    @property
    def chw(self) -> tuple[int, int, int]:
        """(channels, height, width), as torch writes it."""
        return self.channels, self.height.size, self.width.size

    @property
    def numel(self) -> int:
        """How many numbers the map of one image has."""
        return self.channels * self.height.size * self.width.size

    @property
    def nbytes(self) -> int:
        """What the map of one image takes in memory, in float32."""
        return BYTES * self.numel

    def slide(self, windows: tuple[Window, Window], *, channels: int | None = None) -> FeatureShape:
        """The shape after a window over height and one over width."""
        height, width = windows
        return FeatureShape(
            self.channels if channels is None else channels, self.height.slide(height), self.width.slide(width)
        )

    def see_all(self) -> FeatureShape:
        """The shape after an operation over the whole map: each cell depends on every pixel of the image."""
        height, width = (replace(axis, receptive_field=None) for axis in (self.height, self.width))
        return replace(self, height=height, width=width)

    def merge(self, other: FeatureShape) -> FeatureShape:
        """Two paths of one source, joined: this one's sizes, and of both views the wider; None (global) is widest."""
        return FeatureShape(self.channels, _merge(self.height, other.height), _merge(self.width, other.width))


def _merge(one: Axis, other: Axis) -> Axis:
    views = [axis.receptive_field for axis in (one, other)]
    if None not in views:
        wider = one if one.receptive_field >= other.receptive_field else other  # type: ignore[operator]
        return replace(wider, size=one.size)
    known = [axis for axis in (one, other) if axis.receptive_field is not None]
    known += [axis for axis in (one, other) if axis.jump is not None]
    return replace(known[0] if known else one, size=one.size, receptive_field=None)
