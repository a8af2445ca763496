"""Augmentation of labelled images by ``torchvision.transforms.v2``; for the names see `visionkit.data.augment.spec`.

Flips, crops and affine transforms, which nearly every recipe has, are applied to the whole batch at once, with random
parameters per image (`visionkit.data.augment.batch`): torchvision needs a millisecond per image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from visionkit.data.augment.batch import BATCH_TRANSFORMS, BatchStep
from visionkit.data.augment.spec import AUGMENTATIONS, AugmentSpec
from visionkit.data.sample_seeds import Draws, Seeds, manual_seed, preserved_random_state
from visionkit.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Augment", "build_transform"]


class Augment:
    """Augments batches of training images, with random parameters per image.

    One that needs originals (``random_resized_crop``), and what precedes it, is applied to decoded images, which it
    resizes; the others are applied to preprocessed ones.

    Args:
        augment: In the order of application.
        image_size: Height and width of the result, in pixels.

    Attributes:
        wants_original: Whether images must be decoded originals; else they are preprocessed.

    Raises:
        UserError: If torchvision refuses a value.
    """

    def __init__(self, augment: Sequence[AugmentSpec], image_size: tuple[int, int]) -> None:
        self.wants_original = any(spec.needs_original for spec in augment)
        self.image_size = image_size
        self._before: list[Callable[[Tensor], Tensor]] = []
        self._steps: list[tuple[BatchStep | None, Callable[[Tensor], Tensor] | None]] = []
        is_preprocessed = not self.wants_original
        for spec in augment:
            if is_preprocessed and type(spec) in BATCH_TRANSFORMS:
                self._steps.append((BATCH_TRANSFORMS[type(spec)](spec, image_size), None))
            elif is_preprocessed:
                self._steps.append((None, build_transform(spec, image_size)))
            else:
                self._before.append(build_transform(spec, image_size))
            is_preprocessed = is_preprocessed or spec.needs_original

    def __bool__(self) -> bool:
        return bool(self._before or self._steps)

    def __call__(self, images: Tensor | Sequence[Tensor], *, seeds: Seeds) -> Tensor:
        """Augment a batch.

        Args:
            images: uint8, (B, C, H, W) or, if `wants_original`, B images (C, h, w) of any sizes.
            seeds: The seed of each image's random parameters; torch's random state is restored.

        Returns:
            uint8 (B, C, H, W) of the given size.
        """
        import torch

        draws = Draws(seeds)
        with preserved_random_state():
            for step in self._before:
                images = _apply(step, images, draws.seeds())
            batch = images if isinstance(images, torch.Tensor) else torch.stack(list(images))
            for change, transform in self._steps:
                if change is not None:
                    batch = change(batch, draws)
                elif transform is not None:
                    batch = torch.stack(_apply(transform, batch, draws.seeds()))
            return batch


def build_transform(spec: AugmentSpec, image_size: tuple[int, int], *, mask_fill: int = 0) -> Callable[..., Any]:
    """Build the transform of an augmentation.

    Args:
        spec: The augmentation.
        image_size: Height and width of the images, in pixels.
        mask_fill: The value of masks outside the image.

    Raises:
        UserError: If the class refuses a value.
    """
    from torchvision import tv_tensors
    from torchvision.transforms import v2

    values = spec.arguments()
    if spec.sized:
        values["size"] = image_size
    if spec.smooth:
        values["interpolation"] = v2.InterpolationMode.BILINEAR
    if "fill" in values:
        values["fill"] = {tv_tensors.Mask: mask_fill, "others": values["fill"]}
    try:
        transform: Callable[..., Any] = AUGMENTATIONS.module_of(type(spec))(**values)
    except (TypeError, ValueError) as error:
        raise UserError(f"dataset.augment.{AUGMENTATIONS.name_of(type(spec))}: {error} Found {spec}.") from None
    return _UnitFloats(transform) if spec.changes_colours else transform


@dataclass(frozen=True)
class _UnitFloats:
    """A transform that sees images of floats, 0..255, between 0 and 1, as torchvision's changes of colour expect."""

    transform: Callable[..., Any]

    def __call__(self, sample: Any) -> Any:
        from torchvision import tv_tensors

        image = sample["image"] if isinstance(sample, dict) else sample
        if not image.is_floating_point():
            return self.transform(sample)
        unit = tv_tensors.Image(image / 255)
        if not isinstance(sample, dict):
            return self.transform(unit).as_subclass(type(image)) * 255
        changed = self.transform(sample | {"image": unit})
        return changed | {"image": tv_tensors.Image(changed["image"] * 255)}


def _apply(step: Callable[[Tensor], Tensor], images: Iterable[Tensor], seeds: Seeds) -> list[Tensor]:
    """Apply a transform to each image, with its own seed."""
    changed = []
    for image, seed in zip(images, seeds, strict=True):
        manual_seed(seed)
        changed.append(step(image))
    return changed
