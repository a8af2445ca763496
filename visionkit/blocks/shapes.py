"""Shapes of feature maps with their geometry: size, receptive field, jump and offset along each axis.

The formulas are those of Dumoulin & Visin 2016 (arXiv:1603.07285) for sizes and of
Araujo, Norris & Sim 2019 (doi:10.23915/distill.00021) for receptive field, jump and offset.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

BYTES = 4
"""Bytes of one number of a feature map: float32."""

__all__ = ["BYTES", "Axis", "DoesNotFitError", "FeatureShape", "TooSmallError", "Window", "pair"]


class DoesNotFitError(ValueError):
    """A layer cannot take an input of this shape."""


class TooSmallError(DoesNotFitError):
    """A window is larger than its padded input; a larger image would fit."""


def pair(value: int | tuple[int, int]) -> tuple[int, int]:
    """(height, width) from one number for both axes or from such a pair."""
    return (value, value) if isinstance(value, int) else value


@dataclass(frozen=True)
class Window:
    """A sliding window along one axis, in cells; ``padding_end`` is set where it differs from ``padding``."""

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
        """``floor((W + 2P - D(F-1) - 1) / S) + 1``; with ``ceil_mode`` as in torch's pooling layers.

        Raises:
            TooSmallError: If the kernel is larger than the padded input.
        """
        free = size + self.padding + (self.padding if self.padding_end is None else self.padding_end) - self.extent
        if free < 0:
            raise TooSmallError(f"a window of {self.extent} cells does not fit into {size} (padding {self.padding})")
        if not self.ceil_mode:
            return free // self.stride + 1
        cells = -(-free // self.stride) + 1
        starts_in_right_padding = (cells - 1) * self.stride >= size + self.padding
        return cells - 1 if starts_in_right_padding else cells

    def formula(self, size: int) -> str:
        """The formula of `output_size` with its numbers, such as ``1 + (224 + 2*2 - 11)/4 = 55``; ``/`` rounds down."""
        cells = self.output_size(size)
        padded = f"2*{self.padding}" if self.padding_end is None else f"{self.padding} + {self.padding_end}"
        extent = f"{self.kernel}" if self.dilation == 1 else f"{self.dilation}*({self.kernel} - 1) - 1"
        fraction = f"({size} + {padded} - {extent})/{self.stride}"
        if not self.ceil_mode:
            return f"1 + {fraction} = {cells}"
        free = size + 2 * self.padding - self.extent
        dropped = " - 1" if -(-free // self.stride) + 1 > cells else ""  # a window that starts in the end padding
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
        """The axis of the window's output.

        Raises:
            TooSmallError: If the kernel is larger than the padded input.
        """
        size = window.output_size(self.size)
        if self.jump is None or self.offset is None:
            return replace(self, size=size)
        receptive_field = self.receptive_field
        return Axis(
            size=size,
            jump=self.jump * window.stride,
            receptive_field=None if receptive_field is None else receptive_field + (window.extent - 1) * self.jump,
            offset=self.offset + ((window.extent - 1) / 2 - window.padding) * self.jump,
        )

    def adapt(self, size: int) -> Axis:
        """The axis after adaptive pooling to ``size`` cells, whose geometry depends on the image size."""
        return self if size == self.size else Axis(size, None, None, None)


@dataclass(frozen=True)
class FeatureShape:
    """Shape and geometry of a feature map, without the batch axis."""

    channels: int
    height: Axis
    width: Axis

    @classmethod
    def image(cls, channels: int, size: int | tuple[int, int]) -> FeatureShape:
        """The shape of an image; ``size`` in pixels, one number or (height, width)."""
        height, width = pair(size)
        return cls(channels, Axis(height), Axis(width))

    @property
    def chw(self) -> tuple[int, int, int]:
        """(channels, height, width)."""
        return self.channels, self.height.size, self.width.size

    @property
    def numel(self) -> int:
        """Number of elements for one image."""
        return self.channels * self.height.size * self.width.size

    @property
    def nbytes(self) -> int:
        """Bytes for one image in float32."""
        return BYTES * self.numel

    def slide(self, windows: tuple[Window, Window], *, channels: int | None = None) -> FeatureShape:
        """The shape after sliding windows over (height, width)."""
        height, width = windows
        return FeatureShape(
            self.channels if channels is None else channels, self.height.slide(height), self.width.slide(width)
        )

    def with_global_receptive_field(self) -> FeatureShape:
        """The shape after an operation over the whole map: each cell sees the whole image."""
        height, width = (replace(axis, receptive_field=None) for axis in (self.height, self.width))
        return replace(self, height=height, width=width)

    def merge(self, other: FeatureShape) -> FeatureShape:
        """The shape of two joined branches: the sizes of this one, the larger receptive field (None is global)."""
        return FeatureShape(self.channels, _merge(self.height, other.height), _merge(self.width, other.width))


def _merge(first: Axis, second: Axis) -> Axis:
    receptive_fields = [axis.receptive_field for axis in (first, second)]
    if None not in receptive_fields:
        wider = first if first.receptive_field >= second.receptive_field else second  # type: ignore[operator]
        return replace(wider, size=first.size)
    candidates = [axis for axis in (first, second) if axis.receptive_field is not None]
    candidates += [axis for axis in (first, second) if axis.jump is not None]
    return replace(candidates[0] if candidates else first, size=first.size, receptive_field=None)
