"""Scenes composed of handwritten digits, with boxes, instance masks and class masks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy
from numpy.typing import NDArray

from visionkit.data.annotations import Annotations, Objects
from visionkit.data.dataset import TensorDataset
from visionkit.data.polygons import Polygons, run_lengths

if TYPE_CHECKING:
    from visionkit.data.sources.digits.scene_settings import Scenes

__all__ = ["Scene", "compose", "compose_split"]

_MIN_INK = 64  # of 255: darker pixels are the blur at a stroke's edge
_MAX_ATTEMPTS = 20
_SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Scene:
    """One scene.

    Attributes:
        image: uint8 (H, W), bright ink on a dark background.
        instances: uint8 (H, W), the digit that each pixel belongs to, counted from 1; 0 is the background.
        boxes: float32 (n, 4), xyxy in pixels, tight around the ink of each digit.
        labels: int64 (n,), the digits.
    """

    image: NDArray[Any]
    instances: NDArray[Any]
    boxes: NDArray[Any]
    labels: NDArray[Any]


def compose_split(
    pixels: NDArray[Any], digits: NDArray[Any], scenes: Scenes, *, split: str, size: tuple[int, int], target: str
) -> TensorDataset:
    """All scenes of a split.

    Args:
        pixels: The split's digits, uint8 (N, 8, 8).
        digits: Their labels, int64 (N,).
        scenes: The settings of scenes.
        split: ``train``, ``val`` or ``test``.
        size: Height and width of a scene, in pixels.
        target: ``boxes``, ``instances`` or ``mask``.
    """
    import torch

    from visionkit.data.class_masks import TensorMasks

    composed = [compose(pixels, digits, scenes, split=split, index=i, size=size) for i in range(getattr(scenes, split))]
    images = torch.from_numpy(numpy.stack([scene.image for scene in composed]))[:, None]
    positions, prefix = torch.arange(len(composed)), f"scenes/{split}"
    if target == "mask":
        # instance 0 is the background, class 0; instance k has the label of digit k, plus 1
        masks = [numpy.concatenate([[0], scene.labels + 1]).astype(numpy.uint8)[scene.instances] for scene in composed]
        class_masks = TensorMasks(torch.from_numpy(numpy.stack(masks)))
        return TensorDataset(images, None, positions, prefix=prefix, masks=class_masks)
    annotations = Annotations.join([_objects(scene, with_masks=target == "instances") for scene in composed])
    return TensorDataset(images, None, positions, prefix=prefix, annotations=annotations)


def _objects(scene: Scene, *, with_masks: bool) -> Objects:
    if not with_masks:
        return Objects.from_columns(scene.boxes, scene.labels)
    masks = [scene.instances == instance for instance in range(1, len(scene.boxes) + 1)]
    return Objects.from_columns(
        scene.boxes,
        scene.labels,
        area=[float(mask.sum()) for mask in masks],
        segmentations=Polygons.from_list([run_lengths(mask) for mask in masks], is_rle=True),
    )


def compose(
    pixels: NDArray[Any], digits: NDArray[Any], scenes: Scenes, *, split: str, index: int, size: tuple[int, int]
) -> Scene:
    """Compose one scene, determined by the settings, its split and its index.

    Args:
        pixels: The split's digits, uint8 (N, 8, 8).
        digits: Their labels, int64 (N,).
        scenes: The settings of scenes.
        split: ``train``, ``val`` or ``test``.
        index: The index of the scene in the split.
        size: Height and width of the scene, in pixels.
    """
    random = numpy.random.RandomState(
        [scenes.seed, _SPLITS.index(split), index]
    )  # the same stream in all versions of NumPy
    image = numpy.zeros(size)
    instances = numpy.zeros(size, dtype=numpy.uint8)
    boxes: list[tuple[int, int, int, int]] = []
    labels: list[int] = []
    for _ in range(random.randint(scenes.count[0], scenes.count[1] + 1)):
        sample = random.randint(len(digits))
        ink = _draw_digit(pixels[sample], random, scenes.digit_size, size)
        box_position = _free_position(ink.shape, random, boxes, scenes.overlap, size)
        if box_position is None:
            continue
        top, left, bottom, right = box_position
        background = image[top:bottom, left:right]
        instances[top:bottom, left:right][(ink > background) & (ink >= _MIN_INK)] = len(boxes) + 1
        numpy.maximum(background, ink, out=background)
        boxes.append((left, top, right, bottom))
        labels.append(int(digits[sample]))
    for _ in range(random.randint(scenes.clutter + 1)):
        _add_clutter(image, instances, pixels[random.randint(len(digits))], random, scenes.digit_size[0])
    image += random.randint(0, 20, size, dtype=numpy.uint8)
    return Scene(
        numpy.clip(numpy.rint(image), 0, 255).astype(numpy.uint8),
        instances,
        numpy.array(boxes, dtype=numpy.float32).reshape(-1, 4),
        numpy.array(labels, dtype=numpy.int64),
    )


def _draw_digit(
    digit: NDArray[Any], random: numpy.random.RandomState, digit_size: tuple[float, float], size: tuple[int, int]
) -> NDArray[Any]:
    """A digit resized and cropped to its ink, float64 (h, w), 0..255."""
    height = random.uniform(*digit_size) * min(size)
    width = height * random.uniform(0.85, 1.15)
    brightness = random.uniform(0.7, 1.0)
    ink = _enlarge(digit, max(4, round(height)), max(4, round(width))) * brightness
    rows, columns = (numpy.flatnonzero((ink >= _MIN_INK).any(axis=axis)) for axis in (1, 0))
    cropped: NDArray[Any] = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return cropped[: size[0], : size[1]]


def _free_position(
    shape: tuple[int, ...],
    random: numpy.random.RandomState,
    boxes: list[tuple[int, int, int, int]],
    overlap: float,
    size: tuple[int, int],
) -> tuple[int, int, int, int] | None:
    """Top, left, bottom and right of a free position, in pixels; None if none was found."""
    height, width = shape
    placed = numpy.array(boxes, dtype=numpy.float64).reshape(-1, 4)
    areas = (placed[:, 2:] - placed[:, :2]).prod(axis=1)
    for _ in range(_MAX_ATTEMPTS):
        top, left = random.randint(size[0] - height + 1), random.randint(size[1] - width + 1)
        low = numpy.maximum(placed[:, :2], [left, top])
        high = numpy.minimum(placed[:, 2:], [left + width, top + height])
        intersection = numpy.clip(high - low, 0, None).prod(axis=1)
        if (intersection <= overlap * numpy.minimum(areas, height * width)).all():
            return top, left, top + height, left + width
    return None


def _add_clutter(
    image: NDArray[Any],
    instances: NDArray[Any],
    digit: NDArray[Any],
    random: numpy.random.RandomState,
    smallest: float,
) -> None:
    """Add a quarter of a digit, at most half as high as the smallest digit, outside the digits."""
    side = max(2, round(random.uniform(0.25, 0.5) * smallest * min(image.shape)))
    row, column = random.randint(5, size=2)
    scrap = _enlarge(digit[row : row + 4, column : column + 4], side, side) * random.uniform(0.3, 0.8)
    top, left = (random.randint(length - side + 1) for length in image.shape)
    is_free = instances[top : top + side, left : left + side] == 0
    background = image[top : top + side, left : left + side]
    background[is_free] = numpy.maximum(background, scrap)[is_free]


def _enlarge(pixels: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    """Resize bilinearly, with half-pixel centres, float64 (height, width)."""
    down, across = (
        _weights(in_size, out_size) for in_size, out_size in zip(pixels.shape, (height, width), strict=True)
    )
    enlarged: NDArray[Any] = down @ pixels @ across.T
    return enlarged


def _weights(in_size: int, out_size: int) -> NDArray[Any]:
    """The matrix of linear interpolation from in_size to out_size positions, float64 (out_size, in_size)."""
    source = numpy.clip((numpy.arange(out_size) + 0.5) * in_size / out_size - 0.5, 0, in_size - 1)
    weights: NDArray[Any] = numpy.maximum(0, 1 - numpy.abs(source[:, None] - numpy.arange(in_size)))
    return weights
