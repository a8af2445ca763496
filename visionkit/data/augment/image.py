"""Augmentation of labelled images by ``torchvision.transforms.v2``; for the names see `visionkit.data.augment.table`.

Flips, crops and affine transforms, which nearly every recipe has, are applied to the whole batch at once, with random
parameters per image (`visionkit.data.augment.batch`): torchvision needs a millisecond per image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from visionkit.data.augment.batch import BATCH_TRANSFORMS
from visionkit.data.augment.table import AUGMENTATIONS
from visionkit.errors import UserError
from visionkit.schema import describe

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Augment", "build_transform", "seeded"]


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
        self._steps: list[tuple[bool, Callable[[Tensor], Tensor]]] = []
        is_preprocessed = not self.wants_original
        for name, arguments in augment.items():
            if arguments is None:
                continue
            if is_preprocessed and name in BATCH_TRANSFORMS:
                self._steps.append((True, BATCH_TRANSFORMS[name](dict(arguments), image_size)))
            elif is_preprocessed:
                self._steps.append((False, build_transform(name, arguments, image_size)))
            else:
                self._before.append(build_transform(name, arguments, image_size))
            is_preprocessed = is_preprocessed or name == "random_resized_crop"

    def __bool__(self) -> bool:
        return bool(self._before or self._steps)

    def __call__(self, images: Tensor | Sequence[Tensor], *, seed: int) -> Tensor:
        """Augment a batch.

        Args:
            images: uint8, (B, C, H, W) or, if `wants_original`, B images (C, h, w) of any sizes.
            seed: The seed of all random parameters; torch's random state is restored.

        Returns:
            uint8 (B, C, H, W) of the given size.
        """
        import torch

        with seeded(seed):
            if self._before:
                images = torch.stack([_apply(self._before, image) for image in images])
            batch = images if isinstance(images, torch.Tensor) else torch.stack(list(images))
            for is_batched, step in self._steps:
                batch = step(batch) if is_batched else torch.stack([step(image) for image in batch])
            return batch


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch's default generator inside the context, and restore its state afterwards."""
    import torch

    state = torch.get_rng_state()
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        torch.set_rng_state(state)


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
        transform: Callable[..., Any] = getattr(v2, row.transform)(**values)
    except (TypeError, ValueError) as error:
        raise UserError(f"dataset.augment.{name}: {error} Found {describe(dict(arguments))}.") from None
    return transform


def _apply(steps: Sequence[Callable[[Tensor], Tensor]], image: Tensor) -> Tensor:
    for step in steps:
        image = step(image)
    return image
