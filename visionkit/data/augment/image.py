"""Augmentation of labelled images by ``torchvision.transforms.v2``; for the names see `visionkit.data.augment.table`.

Flips, crops and affine transforms, which nearly every recipe has, are applied to the whole batch at once, with random
parameters per image (`visionkit.data.augment.batch`): torchvision needs a millisecond per image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from visionkit.data.augment.batch import BATCH_TRANSFORMS, BatchStep
from visionkit.data.augment.table import AUGMENTATIONS
from visionkit.data.sample_seeds import Draws, Seeds, manual_seed, preserved_random_state
from visionkit.errors import UserError
from visionkit.registry import load
from visionkit.schema import describe

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Augment", "build_transform"]


class Augment:
    """Augments batches of training images, with random parameters per image.

    ``random_resized_crop``, and what precedes it, is applied to decoded images; all others to preprocessed ones.

    Args:
        augment: ``{name: {argument: value}}`` in the order of application; names with a null value are skipped.
        image_size: Height and width of the result, in pixels.

    Attributes:
        wants_original: Whether images must be decoded originals; else they are preprocessed.

    Raises:
        UserError: If torchvision refuses a value.
    """

    def __init__(self, augment: Mapping[str, Mapping[str, Any] | None], image_size: tuple[int, int]) -> None:
        self.wants_original = augment.get("random_resized_crop") is not None
        self.image_size = image_size
        self._before: list[Callable[[Tensor], Tensor]] = []
        self._steps: list[tuple[BatchStep | None, Callable[[Tensor], Tensor] | None]] = []
        is_preprocessed = not self.wants_original
        for name, arguments in augment.items():
            if arguments is None:
                continue
            if is_preprocessed and name in BATCH_TRANSFORMS:
                self._steps.append((BATCH_TRANSFORMS[name](dict(arguments), image_size), None))
            elif is_preprocessed:
                self._steps.append((None, build_transform(name, arguments, image_size)))
            else:
                self._before.append(build_transform(name, arguments, image_size))
            is_preprocessed = is_preprocessed or name == "random_resized_crop"

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


def build_transform(
    name: str, arguments: Mapping[str, Any], image_size: tuple[int, int], *, mask_fill: int = 0
) -> Callable[..., Any]:
    """Build the torchvision transform of an augmentation.

    Args:
        name: A key of `AUGMENTATIONS`.
        arguments: Its arguments, checked by `visionkit.data.augment.table.check_augment`.
        image_size: Height and width of the images, in pixels.
        mask_fill: The value of masks outside the image.

    Raises:
        UserError: If torchvision refuses a value.
    """
    from torchvision import tv_tensors
    from torchvision.transforms import v2

    row = AUGMENTATIONS[name]
    values = dict(arguments)
    if name in ("random_crop", "random_resized_crop"):
        values["size"] = image_size
    if name == "random_resized_crop":
        values["antialias"] = True
    if row.smooth:
        values["interpolation"] = v2.InterpolationMode.BILINEAR
    if "fill" in row.arguments:
        values["fill"] = {tv_tensors.Mask: mask_fill, "others": values.get("fill") or 0}
    try:
        transform: Callable[..., Any] = (load(row.transform) if ":" in row.transform else getattr(v2, row.transform))(
            **values
        )
    except (TypeError, ValueError) as error:
        raise UserError(f"dataset.augment.{name}: {error} Found {describe(dict(arguments))}.") from None
    return transform


def _apply(step: Callable[[Tensor], Tensor], images: Iterable[Tensor], seeds: Seeds) -> list[Tensor]:
    """Apply a transform to each image, with its own seed."""
    changed = []
    for image, seed in zip(images, seeds, strict=True):
        manual_seed(seed)
        changed.append(step(image))
    return changed
