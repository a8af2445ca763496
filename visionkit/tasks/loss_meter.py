"""The mean of the losses over a split, without synchronising with the device at each batch."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from visionkit.distributed.comm import gather_objects

__all__ = ["LossMeter"]


class LossMeter:
    """Means over images of named losses.

    Sums are updated in place: a tensor kept from every step would fragment the memory that activations are allocated
    in, and slow down every allocation. torchmetrics' MeanMetric (1.9) takes 25 microseconds instead of 3, and either
    synchronises to look for NaN or, told not to, ignores the weights.

    Attributes:
        last: The total loss of the newest batch, a detached scalar, perhaps still being computed; None without one.
        finite_only: Whether batches with a total that is not finite count as 0, until `discard` is told of them.
    """

    def __init__(self) -> None:
        self.last: Tensor | None = None
        self.finite_only = False
        self._sums: dict[str, Tensor] = {}
        self._num_images = 0

    def update(self, losses: dict[str, Tensor], num_images: int) -> None:
        """Add the losses of one batch.

        Args:
            losses: Scalars that are means over the batch; ``loss`` is the total.
            num_images: The size of the batch.
        """
        self.last = losses["loss"].detach()
        if self.finite_only:
            is_finite = self.last.isfinite()
            losses = {name: torch.where(is_finite, loss.detach(), 0.0) for name, loss in losses.items()}
        for name, loss in losses.items():
            if name not in self._sums or self._sums[name].device != loss.device:  # new, or from a checkpoint
                dtype = torch.float32 if loss.device.type == "mps" else torch.float64
                self._sums[name] = self._sums.get(name, torch.zeros(())).to(loss.device, dtype)
            self._sums[name].add_(loss.detach(), alpha=num_images)
        self._num_images += num_images

    def discard(self, num_images: int) -> None:
        """Leave out the images of a batch that counted as 0."""
        self._num_images -= num_images

    def gather(self) -> None:
        """Add, in the first process, the sums of all other processes."""
        states = self.state()
        self._sums, self._num_images = {}, 0
        self.load_state(states)

    @property
    def num_images(self) -> int:
        """The number of images since the last `reset`."""
        return self._num_images

    def state(self) -> list[Any]:
        """The sums of each process, plain values, in the first process; for a checkpoint within an epoch."""
        return gather_objects(({name: float(total) for name, total in self._sums.items()}, self._num_images))

    def load_state(self, states: Sequence[Any]) -> None:
        """Add the sums that `state` gave."""
        for sums, num_images in states:
            for name, total in sums.items():
                self._sums[name] = torch.as_tensor(total, dtype=torch.float64) + self._sums.get(name, 0.0)
            self._num_images += num_images

    def means(self) -> dict[str, Tensor]:
        """The mean of each loss, a scalar; empty before the first batch."""
        return {name: total / self._num_images for name, total in self._sums.items()} if self._num_images else {}

    def reset(self) -> None:
        """Discard all batches."""
        self.last = None
        self._sums.clear()
        self._num_images = 0
