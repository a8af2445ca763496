"""Which objects the levels of a detector can take, by arithmetic: no network is built."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy
from numpy.typing import NDArray

if TYPE_CHECKING:
    from visionkit.backbones import BackboneSpec
    from visionkit.heads import HeadSpec

__all__ = ["AnchorLevels", "Levels", "PointLevels", "levels_of"]

_REACH = 8
"""Strides of a level that lie between a point and an edge at most (Tian et al. 2020, arXiv:2006.09214, section 2.2)."""


@dataclass(frozen=True)
class Levels(ABC):
    """The levels of a detector.

    Attributes:
        strides: In pixels, from fine to coarse.
        offsets: The place of the first point of each, in pixels.
    """

    strides: tuple[int, ...]
    offsets: tuple[float, ...]

    @abstractmethod
    def takes(self, boxes: NDArray[Any]) -> NDArray[Any]:
        """Whether some level can take each object, were it alone in its image, bool (N,).

        Args:
            boxes: float64 (N, 4), xyxy in pixels of the network's input.
        """


@dataclass(frozen=True)
class PointLevels(Levels):
    """FCOS: an object is taken by points near its centre, on the level of its size.

    Attributes:
        radius: Of the points around a centre, in strides.
    """

    radius: float

    def takes(self, boxes: NDArray[Any]) -> NDArray[Any]:
        taken = numpy.zeros(len(boxes), dtype=bool)
        lower = 0.0
        for number, (stride, offset) in enumerate(zip(self.strides, self.offsets, strict=True)):
            upper = math.inf if number + 1 == len(self.strides) else float(_REACH * stride)
            x, y = (self._distances(boxes[:, i], boxes[:, i + 2], stride, offset) for i in (0, 1))
            farthest = numpy.maximum(x[:, :, None], y[:, None, :])  # NaN where no point is inside
            with numpy.errstate(invalid="ignore"):
                taken |= ((farthest > lower) & (farthest < upper)).any(axis=(1, 2))
            lower = upper
        return taken

    def _distances(self, low: NDArray[Any], high: NDArray[Any], stride: int, offset: float) -> NDArray[Any]:
        """The distance to the farther edge of the points around each centre, NaN where one is none, (N, W)."""
        center = (low + high) / 2
        window = math.floor(2 * self.radius) + 2
        first = numpy.ceil((center - self.radius * stride - offset) / stride)
        index = first[:, None] + numpy.arange(window)
        points = index * stride + offset
        inside = (points > low[:, None]) & (points < high[:, None]) & (index >= 0)
        inside &= numpy.abs(points - center[:, None]) < self.radius * stride
        return numpy.where(inside, numpy.maximum(points - low[:, None], high[:, None] - points), numpy.nan)


@dataclass(frozen=True)
class AnchorLevels(Levels):
    """RetinaNet and the first stage of Faster R-CNN: an object is taken by anchors that overlap it enough.

    Attributes:
        shapes: Width and height of the anchors of each level, in pixels.
        min_iou: That of an anchor with its object.
    """

    shapes: tuple[tuple[tuple[float, float], ...], ...]
    min_iou: float

    def takes(self, boxes: NDArray[Any]) -> NDArray[Any]:
        best = numpy.zeros(len(boxes))
        size = boxes[:, 2:] - boxes[:, :2]
        center = (boxes[:, 2:] + boxes[:, :2]) / 2
        for stride, offset, shapes in zip(self.strides, self.offsets, self.shapes, strict=True):
            index = numpy.maximum(numpy.round((center - offset) / stride), 0)
            shift = numpy.abs(index * stride + offset - center)
            for shape in shapes:
                anchor = numpy.array(shape)
                overlap = (
                    numpy.minimum(size, numpy.minimum(anchor, (size + anchor) / 2 - shift)).clip(min=0).prod(axis=1)
                )
                best = numpy.maximum(best, overlap / (size.prod(axis=1) + anchor.prod() - overlap))
        taken: NDArray[Any] = best >= self.min_iou
        return taken


def levels_of(head: HeadSpec, backbone: BackboneSpec) -> Levels | None:
    """The levels of a detection head; None of a head without levels, or one that is not known here."""
    from visionkit.heads.dense.spec import FcosSpec, RetinaNetSpec
    from visionkit.heads.two_stage.spec import FasterRcnnSpec

    if not isinstance(head, FcosSpec | RetinaNetSpec | FasterRcnnSpec):
        return None
    infos = head.neck.feature_info(backbone)
    strides = tuple(info.stride for info in infos.values())
    is_corner = head.centers == "corner"
    offsets = tuple(0.0 if is_corner else info.offset + 0.5 for info in infos.values())
    if isinstance(head, FcosSpec):
        return PointLevels(strides, offsets, head.center_radius)
    shapes = tuple(_shapes(head.anchor_shapes(stride)) for stride in strides)
    min_iou = head.foreground_iou if isinstance(head, RetinaNetSpec) else _PROPOSAL_IOU
    return AnchorLevels(strides, offsets, shapes, min_iou)


_PROPOSAL_IOU = 0.3
"""Below this an anchor of the first stage is background (Ren et al. 2015, arXiv:1506.01497, section 3.1.2)."""


def _shapes(shapes: Sequence[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    return tuple((float(width), float(height)) for width, height in shapes)
