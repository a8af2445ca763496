"""Joining an image and its objects or mask with those of other images; specifications: `joining_spec`.

A class here takes samples, ``image`` (C, h, w) and targets as in `visionkit.data.augment.joint`, in plain tensors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.ops import masks_to_boxes

from visionkit.data.augment.visible import MIN_VISIBLE, box_areas
from visionkit.data.class_masks import resize_mask
from visionkit.data.resizing import resize_image
from visionkit.data.transforms import InputTransform
from visionkit.structures.class_ids import IGNORE_INDEX

__all__ = ["CopyPaste", "Mixup", "Mosaic", "resize_sample"]

Sample = dict[str, Tensor]

_CENTRE = (0.25, 0.75)
"""Where the common corner of a mosaic may lie, as shares of its sides."""


class Mosaic:
    """Four images around a random point (Bochkovskiy et al. 2020, arXiv:2004.10934, section 3.3).

    Each is resized to a random multiple of its size in the batch and lies with a corner at the point; what reaches
    beyond its quarter is cut off, and what it does not cover is filled.

    Args:
        scale_range: The multiples.
        fill: The value of pixels that no image covers, 0..255; class masks are ignored there.
        transform: Says which size an image has in the batch.
    """

    def __init__(self, *, scale_range: tuple[float, float], fill: float, transform: InputTransform) -> None:
        self.scale_range, self.fill, self.transform = scale_range, fill, transform

    def __call__(self, samples: Sequence[Sample]) -> Sample:
        first = samples[0]["image"]
        height, width = self.transform.image_size
        if self.transform.mode == "resize_pad":
            height, width = self.transform.fitted_size(first.shape[-2], first.shape[-1])
        row, column = (round(side * _uniform(*_CENTRE)) for side in (height, width))
        canvas = _canvas(samples[0], (height, width), self.fill)
        quarters = [
            _Window(0, 0, row, column), _Window(0, column, row, width),
            _Window(row, 0, height, column), _Window(row, column, height, width),
        ]  # fmt: skip
        parts = []
        for number, (sample, window) in enumerate(zip(samples, quarters, strict=True)):
            factor = _uniform(*self.scale_range)
            fitted = self.transform.fitted_size(sample["image"].shape[-2], sample["image"].shape[-1])
            tile = resize_sample(sample, (max(1, round(fitted[0] * factor)), max(1, round(fitted[1] * factor))))
            tile_height, tile_width = tile["image"].shape[-2:]
            top = row - tile_height if number < 2 else row
            left = column - tile_width if number % 2 == 0 else column
            parts.append(_place(tile, canvas, top, left, window))
        return canvas | _concatenated(parts)


class CopyPaste:
    """Pastes a random selection from another image at a random place.

    Of instances each object is pasted with a probability, and covers what lies below it (Ghiasi et al. 2021,
    arXiv:2012.07177, section 3); of a class mask all pixels of each class that the other image has (ClassMix, Olsson
    et al. 2021, arXiv:2007.07936, section 3.2).

    Args:
        share: The probability of each object or class.
    """

    def __init__(self, *, share: float) -> None:
        self.share = share

    def __call__(self, samples: Sequence[Sample]) -> Sample:
        sample, other = samples[0], _at_random_place(samples[1], samples[0]["image"], fill=0.0)
        if "mask" in sample:
            classes = torch.unique(other["mask"])
            chosen = classes[(torch.rand(len(classes)) < self.share) & (classes != IGNORE_INDEX)]
            region = torch.isin(other["mask"], chosen)
            return _pasted(sample, other, region) | {"mask": torch.where(region, other["mask"], sample["mask"])}
        pasted = _selected(other, torch.rand(len(other["boxes"])) < self.share)
        region = pasted["masks"].any(dim=0).bool()  # of uint8, any() is uint8
        return _pasted(sample, other, region) | _concatenated([_covered(sample, region), _objects(pasted)])


class Mixup:
    """Blends an image with another, which lies at a random place; the objects of both count fully.

    The share of each is drawn from a Beta distribution about a half; images of 8 bits are rounded.

    Args:
        alpha: Both parameters of the distribution.
        fill: The value of the other image where it does not reach, 0..255.
    """

    def __init__(self, *, alpha: float, fill: float) -> None:
        self.alpha, self.fill = alpha, fill

    def __call__(self, samples: Sequence[Sample]) -> Sample:
        sample, other = samples[0], _at_random_place(samples[1], samples[0]["image"], fill=self.fill)
        share = float(torch.distributions.Beta(self.alpha, self.alpha).sample())
        own = sample["image"]
        blended = own * share + other["image"] * (1 - share)
        image = blended if own.is_floating_point() else blended.round_().clamp_(0, 255).to(own.dtype)
        return {**sample, "image": image, **_concatenated([_objects(sample), _objects(other)])}


def resize_sample(sample: Sample, size: tuple[int, int]) -> Sample:
    """Resize an image with its targets."""
    height, width = sample["image"].shape[-2:]
    if (height, width) == size:
        return sample
    resized = dict(sample)
    for name, value in sample.items():
        if name == "image":
            resized[name] = resize_image(value, size)
        elif name in ("mask", "masks"):
            resized[name] = resize_mask(value, size)
        elif name == "boxes":
            resized[name] = value * value.new_tensor([size[1] / width, size[0] / height]).repeat(2)
    return resized


@dataclass(frozen=True)
class _Window:
    """A part of a canvas, in pixels."""

    top: int
    left: int
    bottom: int
    right: int


def _canvas(sample: Sample, size: tuple[int, int], fill: float) -> Sample:
    """An empty image, with an ignored class mask if the sample has one."""
    canvas = {"image": sample["image"].new_full((sample["image"].shape[0], *size), fill)}
    return canvas | ({"mask": sample["mask"].new_full(size, IGNORE_INDEX)} if "mask" in sample else {})


def _place(sample: Sample, canvas: Sample, top: int, left: int, window: _Window) -> Sample:
    """Draw a sample into a window of a canvas, in place; its objects there, of which enough is visible."""
    height, width = sample["image"].shape[-2:]
    rows = slice(max(top, window.top), min(top + height, window.bottom))
    columns = slice(max(left, window.left), min(left + width, window.right))
    within = slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left)
    for name in ("image", "mask"):
        if name in canvas:
            canvas[name][..., rows, columns] = sample[name][..., within[0], within[1]]
    if "boxes" not in sample:
        return {}
    moved = _objects(sample)
    shift = moved["boxes"].new_tensor([left, top]).repeat(2)
    limits = [moved["boxes"].new_tensor([columns.start, rows.start]).repeat(2)]
    limits.append(moved["boxes"].new_tensor([columns.stop, rows.stop]).repeat(2))
    moved["boxes"] = torch.maximum(torch.minimum(sample["boxes"] + shift, limits[1]), limits[0])
    keep = box_areas(moved["boxes"]) >= MIN_VISIBLE * box_areas(sample["boxes"])
    kept = {name: value[keep] for name, value in moved.items()}
    if "masks" in kept:
        masks = kept["masks"].new_zeros((len(kept["masks"]), *canvas["image"].shape[-2:]))
        masks[:, rows, columns] = kept["masks"][:, within[0], within[1]]
        kept["masks"] = masks
    return kept


def _at_random_place(sample: Sample, image: Tensor, *, fill: float) -> Sample:
    """A sample on a canvas of an image's size, whole if it fits and else cropped, at a random place."""
    size = (image.shape[-2], image.shape[-1])
    canvas = _canvas(sample, size, fill)
    places = []
    for side, own in zip(size, sample["image"].shape[-2:], strict=True):
        offset = int(torch.randint(abs(side - own) + 1, ()))
        places.append(offset if own <= side else -offset)
    return canvas | _place(sample, canvas, places[0], places[1], _Window(0, 0, *size))


def _objects(sample: Sample) -> Sample:
    """What a sample has for each object."""
    return {name: value for name, value in sample.items() if name not in ("image", "mask")}


def _selected(sample: Sample, keep: Tensor) -> Sample:
    return sample | {name: value[keep] for name, value in _objects(sample).items()}


def _concatenated(parts: Sequence[Sample]) -> Sample:
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _pasted(sample: Sample, other: Sample, region: Tensor) -> Sample:
    return sample | {"image": torch.where(region, other["image"], sample["image"])}


def _covered(sample: Sample, region: Tensor) -> Sample:
    """The objects of which enough is visible beside a region (h, w) that covers them; boxes of what is visible."""
    objects = _objects(sample)
    masks = objects["masks"] * ~region
    before, after = (values.flatten(1).sum(dim=1, dtype=torch.int64) for values in (objects["masks"], masks))
    keep = (after > 0) & (after >= MIN_VISIBLE * before)
    is_cut = (after < before) & keep
    objects["masks"] = masks
    if bool(is_cut.any()):
        boxes = masks_to_boxes(masks[is_cut])
        boxes[:, 2:] += 1  # its corners are pixels
        objects["boxes"] = objects["boxes"].masked_scatter(is_cut[:, None], boxes.to(objects["boxes"].dtype))
    return {name: value[keep] for name, value in objects.items()}


def _uniform(low: float, high: float) -> float:
    return float(torch.empty(1).uniform_(low, high))
