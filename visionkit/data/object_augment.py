"""Random changes of training images together with the boxes in them, by ``torchvision.transforms.v2``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms.v2 import functional

from visionkit.data.augment import build_transform, seeded
from visionkit.data.transforms import Preprocess

__all__ = ["ObjectAugment", "visible"]

_MIN_SIDE = 1.0  # pixels of the batch; v2.SanitizeBoundingBoxes has the same limit
_MIN_VISIBLE = 0.2  # share of a box that a cut must leave of it

_ON_ORIGINALS = ("iou_crop", "zoom_out")

Step = Callable[[tv_tensors.Image, tv_tensors.BoundingBoxes], tuple[tv_tensors.Image, tv_tensors.BoundingBoxes]]


class ObjectAugment:
    """Draws random changes for images with boxes, for each image its own.

    What cuts or extends an image (``iou_crop``, ``zoom_out``), and what is listed before it, acts on the image as it
    was decoded; then it is fitted to its size in the batch, by ``scale_jitter`` to a random one; the rest follows.

    Args:
        augment: ``{name: {argument: value}}`` in the order of application; null values are left out.
        preprocess: Fits an image to its size.

    Attributes:
        wants_original: Whether images should come as they were decoded; else fitted ones will do.

    Raises:
        UserError: If torchvision refuses a value.
    """

    def __init__(self, augment: Mapping[str, Mapping[str, Any] | None], preprocess: Preprocess) -> None:
        chosen = {name: arguments for name, arguments in augment.items() if arguments is not None}
        jitter = chosen.pop("scale_jitter", None)
        self.wants_original = jitter is not None or any(name in chosen for name in _ON_ORIGINALS)
        last = max((place for place, name in enumerate(chosen, start=1) if name in _ON_ORIGINALS), default=0)
        steps: list[Step] = [build_transform(name, chosen[name], preprocess.image_size) for name in chosen]
        self._before, self._after = steps[:last], steps[last:]
        self._fit: Step = _Fit(preprocess) if jitter is None else _ScaleJitter(preprocess, **jitter)
        self._any = bool(steps) or jitter is not None

    def __bool__(self) -> bool:
        return self._any

    def __call__(
        self, objects: Iterable[tuple[Tensor, Tensor, Tensor]], *, seed: int
    ) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Change images and their boxes.

        Args:
            objects: For each image its pixels uint8 (C, h, w), boxes float32 (n, 4) xyxy in its pixels, and
                labels int64 (n,).
            seed: Of every draw; torch's own random state is left as it was.

        Returns:
            The same, with images of the size that they have in a batch, and without objects that vanished.
        """
        with seeded(seed):
            return [self._change(*each) for each in objects]

    def _change(self, pixels: Tensor, xyxy: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        image = tv_tensors.Image(pixels)
        boxes = tv_tensors.BoundingBoxes(xyxy, format="XYXY", canvas_size=pixels.shape[-2:])  # type: ignore[call-overload]
        for step in (*self._before, self._fit, *self._after):
            image, boxes = step(image, boxes)
        plain = image.as_subclass(Tensor)
        return plain, *visible(boxes.as_subclass(Tensor), labels, plain)


def visible(boxes: Tensor, labels: Tensor, image: Tensor) -> tuple[Tensor, Tensor]:
    """Cut boxes (n, 4) to an image (C, h, w) and leave out those of which less than a pixel's side remains."""
    height, width = image.shape[-2:]
    limits = boxes.new_tensor([width, height, width, height])
    boxes = torch.minimum(boxes.clamp(min=0), limits)
    keep = ((boxes[:, 2:] - boxes[:, :2]) >= _MIN_SIDE).all(dim=1)
    return boxes[keep], labels[keep]


class _Fit:
    """To the size that every image of these dimensions has in a batch."""

    def __init__(self, preprocess: Preprocess) -> None:
        self.preprocess = preprocess

    def __call__(
        self, image: tv_tensors.Image, boxes: tv_tensors.BoundingBoxes
    ) -> tuple[tv_tensors.Image, tv_tensors.BoundingBoxes]:
        return _resize(image, boxes, self.preprocess.fitted_size(*image.shape[-2:]))


class _ScaleJitter:
    """To a random multiple of that size; what is then too large for the batch is cut at random (Ghiasi et al. 2021)."""

    def __init__(self, preprocess: Preprocess, *, scale_range: tuple[float, float] = (0.1, 2.0)) -> None:
        self.preprocess, self.scale_range = preprocess, scale_range

    def __call__(
        self, image: tv_tensors.Image, boxes: tv_tensors.BoundingBoxes
    ) -> tuple[tv_tensors.Image, tv_tensors.BoundingBoxes]:
        fitted = self.preprocess.fitted_size(*image.shape[-2:])
        limit = fitted if self.preprocess.mode == "resize_pad" else self.preprocess.image_size
        factor = float(torch.empty(1).uniform_(*self.scale_range))
        image, boxes = _resize(image, boxes, (max(1, round(fitted[0] * factor)), max(1, round(fitted[1] * factor))))
        height, width = (min(side, most) for side, most in zip(image.shape[-2:], limit, strict=True))
        top = int(torch.randint(image.shape[-2] - height + 1, ()))
        left = int(torch.randint(image.shape[-1] - width + 1, ()))
        whole = _areas(boxes)
        # torchvision clamps the boxes to what is left of the image
        image, boxes = (functional.crop(each, top, left, height, width) for each in (image, boxes))
        boxes[_areas(boxes) < _MIN_VISIBLE * whole] = 0
        return image, boxes


def _resize(
    image: tv_tensors.Image, boxes: tv_tensors.BoundingBoxes, size: tuple[int, int]
) -> tuple[tv_tensors.Image, tv_tensors.BoundingBoxes]:
    if image.shape[-2:] == size:
        return image, boxes
    return functional.resize(image, list(size), antialias=True), functional.resize(boxes, list(size))


def _areas(boxes: Tensor) -> Tensor:
    sides = boxes[:, 2:] - boxes[:, :2]
    return (sides[:, 0] * sides[:, 1]).as_subclass(Tensor)
