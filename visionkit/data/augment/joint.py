"""Augmentation of images together with their boxes and masks, by ``torchvision.transforms.v2``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import repeat
from typing import Any

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms.v2 import functional

from visionkit.data.augment.image import build_transform
from visionkit.data.augment.joining_spec import JoiningSpec
from visionkit.data.augment.partners import Partners, build_joining
from visionkit.data.augment.spec import AugmentSpec, ScaleJitterSpec
from visionkit.data.augment.visible import MIN_VISIBLE, box_areas
from visionkit.data.class_masks import resize_mask
from visionkit.data.sample_seeds import Seeds, manual_seed, preserved_random_state
from visionkit.data.transforms import InputTransform

__all__ = ["JointAugment", "Sample", "sanitize_boxes"]

_MIN_SIDE = 1.0  # pixels of the batch; v2.SanitizeBoundingBoxes has the same limit

Sample = dict[str, Tensor]
"""An image and its targets: ``image`` uint8 (C, h, w) and, depending on the task, ``boxes`` float32 (n, 4) xyxy in its
pixels, ``labels`` int64 (n,), ``masks`` uint8 (n, h, w) of objects, ``mask`` uint8 (h, w) of class ids."""

Step = Callable[[dict[str, Any]], dict[str, Any]]


class JointAugment:
    """Augments images with boxes or masks, with random parameters per image.

    Those that need originals (``iou_crop``, ``zoom_out``, ``random_resized_crop``) and what precedes them are applied
    to the decoded image. Then the image is resized to its size in the batch (with ``scale_jitter`` to a random size),
    and joined with other images treated alike (``mosaic``, which resizes on its own, ``copy_paste``, ``mixup``); then
    the others follow.

    Args:
        augment: In the order of application.
        transform: Resizes an image to its size in the batch.
        mask_fill: The value of masks outside the image.

    Attributes:
        wants_original: Whether images must be decoded originals; else they may already be resized.
        partners: Draws the images that each is joined with.

    Raises:
        UserError: If torchvision refuses a value.
    """

    def __init__(self, augment: Sequence[AugmentSpec], transform: InputTransform, *, mask_fill: int = 0) -> None:
        self.wants_original = any(spec.needs_original for spec in augment)
        jitter = next((spec for spec in augment if isinstance(spec, ScaleJitterSpec)), None)
        self.partners = Partners([spec for spec in augment if isinstance(spec, JoiningSpec)])
        self._joinings = [(spec.resizes, build_joining(spec, transform)) for spec in self.partners.specs]
        others = [spec for spec in augment if spec is not jitter and not isinstance(spec, JoiningSpec)]
        num_before = max((position for position, spec in enumerate(others, 1) if spec.needs_original), default=0)
        steps: list[Step] = [build_transform(spec, transform.image_size, mask_fill=mask_fill) for spec in others]
        self._before, self._after = steps[:num_before], steps[num_before:]
        self._fit: Step = _Fit(transform) if jitter is None else _ScaleJitter(transform, jitter.scale_range)
        self._has_steps = bool(augment)

    def __bool__(self) -> bool:
        return self._has_steps

    def __call__(
        self, samples: Iterable[Sample], *, seeds: Seeds, partners: Iterable[Sequence[Sequence[Sample]]] | None = None
    ) -> list[Sample]:
        """Augment samples.

        Args:
            samples: Images with targets in pixels of these images.
            seeds: The seed of each sample's random parameters; torch's random state is restored.
            partners: For each sample, and for each augmentation that joins, the images that `Partners.draw` has drawn;
                None to join none.

        Returns:
            The samples at their size in the batch. Boxes of objects that are no longer visible are empty or lie
            outside the image, see `sanitize_boxes`.
        """
        changed = []
        with preserved_random_state():
            for sample, seed, others in zip(samples, seeds, repeat(()) if partners is None else partners, strict=False):
                manual_seed(seed)
                changed.append(self._change(sample, others))
        return changed

    def _change(self, sample: Sample, partners: Sequence[Sequence[Sample]]) -> Sample:
        joinings = [(*joining, others) for joining, others in zip(self._joinings, partners, strict=False) if others]
        resizing = next(((join, others) for resizes, join, others in joinings if resizes), None)
        if resizing is None:
            changed = self._fitted(sample)
        else:
            join, others = resizing
            changed = _wrapped(join([_plain(_steps(self._before, _wrapped(each))) for each in (sample, *others)]))
        for resizes, join, others in joinings:
            if not resizes:
                changed = _wrapped(join([_plain(changed), *(_plain(self._fitted(other)) for other in others)]))
        return _plain(_steps(self._after, changed))

    def _fitted(self, sample: Sample) -> dict[str, Any]:
        return self._fit(_steps(self._before, _wrapped(sample)))


def sanitize_boxes(sample: Sample) -> Sample:
    """Clip boxes to the image and drop objects whose box is then narrower or lower than one pixel."""
    height, width = sample["image"].shape[-2:]
    limits = sample["boxes"].new_tensor([width, height, width, height])
    boxes = torch.minimum(sample["boxes"].clamp(min=0), limits)
    keep = ((boxes[:, 2:] - boxes[:, :2]) >= _MIN_SIDE).all(dim=1)
    return {name: value if name == "image" else value[keep] for name, value in (sample | {"boxes": boxes}).items()}


def _steps(steps: Sequence[Step], sample: dict[str, Any]) -> dict[str, Any]:
    for step in steps:
        sample = step(sample)
    return sample


def _wrapped(sample: Sample) -> dict[str, Any]:
    return {name: _wrap(name, value, sample["image"].shape[-2:]) for name, value in sample.items()}


def _plain(sample: dict[str, Any]) -> Sample:
    return {name: value.as_subclass(Tensor) for name, value in sample.items()}


def _wrap(name: str, value: Tensor, canvas: torch.Size) -> Any:
    if name == "image":
        return tv_tensors.Image(value)
    if name == "boxes":
        return tv_tensors.BoundingBoxes(value, format="XYXY", canvas_size=canvas)  # type: ignore[call-overload]
    return tv_tensors.Mask(value) if name in ("mask", "masks") else value


class _Fit:
    """Resizes a sample to its size in the batch."""

    def __init__(self, transform: InputTransform) -> None:
        self.transform = transform

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        return _resize(sample, self.transform.fitted_size(*sample["image"].shape[-2:]))


class _ScaleJitter:
    """Resizes a sample to a random multiple of its size in the batch, and crops it at random if it is too large.

    Large scale jittering (Ghiasi et al. 2021, Simple Copy-Paste).
    """

    def __init__(self, transform: InputTransform, scale_range: tuple[float, float]) -> None:
        self.transform, self.scale_range = transform, scale_range

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        fitted = self.transform.fitted_size(*sample["image"].shape[-2:])
        limit = fitted if self.transform.mode == "resize_pad" else self.transform.image_size
        factor = float(torch.empty(1).uniform_(*self.scale_range))
        sample = _resize(sample, (max(1, round(fitted[0] * factor)), max(1, round(fitted[1] * factor))))
        size = sample["image"].shape[-2:]
        height, width = (min(side, maximum) for side, maximum in zip(size, limit, strict=True))
        top = int(torch.randint(size[0] - height + 1, ()))
        left = int(torch.randint(size[1] - width + 1, ()))
        # torchvision clamps boxes to the cropped image
        cropped = {
            name: functional.crop(value, top, left, height, width) if isinstance(value, tv_tensors.TVTensor) else value
            for name, value in sample.items()
        }
        if "boxes" in cropped:
            cropped["boxes"][box_areas(cropped["boxes"]) < MIN_VISIBLE * box_areas(sample["boxes"])] = 0
        return cropped


def _resize(sample: dict[str, Any], size: tuple[int, int]) -> dict[str, Any]:
    if sample["image"].shape[-2:] == size:
        return sample

    def resize(value: Any) -> Any:
        if isinstance(value, tv_tensors.Mask):
            return tv_tensors.wrap(resize_mask(value.as_subclass(Tensor), size), like=value)
        if isinstance(value, tv_tensors.TVTensor):
            return functional.resize(value, list(size), antialias=True)
        return value

    return {name: resize(value) for name, value in sample.items()}
