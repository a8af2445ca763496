"""Which images an image is joined with, and the classes that join them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from visionkit.data.augment.joining_spec import JoiningSpec
from visionkit.data.augment.spec import AUGMENTATIONS
from visionkit.data.sample_seeds import Draws, Seeds
from visionkit.data.transforms import InputTransform
from visionkit.errors import UserError
from visionkit.settings.mixing import is_within_last

__all__ = ["Partners", "build_joining"]

Joining = Callable[[Sequence[dict[str, Tensor]]], dict[str, Tensor]]

_STREAM = np.uint64(0x6A6F696E)  # sets these draws apart from others of the same seeds


class Partners:
    """Draws the images that each image of a batch is joined with, by its seed alone.

    Args:
        specs: The augmentations that join, in the order of application.
    """

    def __init__(self, specs: Sequence[JoiningSpec]) -> None:
        self.specs = tuple(specs)

    def draw(
        self, indices: NDArray[np.int64], seeds: Seeds, *, num_samples: int, progress: float
    ) -> list[list[list[int]]] | None:
        """The indices of the partners of each image, for each augmentation; none where it does not apply.

        Args:
            indices: Those of the images, (B,); no image is its own partner.
            seeds: Their seeds, (B,).
            num_samples: The number of samples of the split.
            progress: The share of all epochs that lie behind this one.

        Returns:
            None if nothing is joined, as in the last epochs or with a single sample.
        """
        if num_samples < 2 or all(is_within_last(spec.off_last, progress) for spec in self.specs):
            return None
        draws = Draws(seeds ^ _STREAM)
        columns = []
        for spec in self.specs:
            applies = (draws.uniform() < spec.p).numpy() & (not is_within_last(spec.off_last, progress))
            offsets = [draws.integers(num_samples - 1).numpy() for _ in range(spec.num_partners)]
            partners = (indices[:, None] + 1 + np.stack(offsets, axis=1)) % num_samples  # (B, P)
            columns.append([row if on else [] for row, on in zip(partners.tolist(), applies.tolist(), strict=True)])
        return [list(of_image) for of_image in zip(*columns, strict=True)]


def build_joining(spec: JoiningSpec, transform: InputTransform) -> Joining:
    """The class of an augmentation that joins.

    Raises:
        UserError: If the class refuses a value.
    """
    values: dict[str, Any] = spec.arguments() | ({"transform": transform} if spec.resizes else {})
    try:
        return AUGMENTATIONS.module_of(type(spec))(**values)  # type: ignore[no-any-return]
    except (TypeError, ValueError) as error:
        raise UserError(f"dataset.augment.{AUGMENTATIONS.name_of(type(spec))}: {error} Found {spec}.") from None
