"""The mean of the losses over a split, without waiting for the device at each batch."""

import torch
from torch import Tensor

from visionkit.distributed.comm import gather_objects

__all__ = ["LossMeter"]


class LossMeter:
    """Means over images of named losses.

    Sums are added up in place: results kept from every step would lie between the large blocks
    that activations come and go in, and slow down every allocation.
    """

    def __init__(self) -> None:
        self.last: Tensor | None = None
        self._sums: dict[str, Tensor] = {}
        self._images = 0

    def update(self, losses: dict[str, Tensor], images: int) -> None:
        """Take one batch in; the newest total loss is then in ``last``, perhaps still being computed.

        Args:
            losses: Scalars that are means over the batch; ``loss`` is the total.
            images: The size of the batch.
        """
        for name, loss in losses.items():
            if name not in self._sums:
                exact = torch.float32 if loss.device.type == "mps" else torch.float64
                self._sums[name] = torch.zeros((), device=loss.device, dtype=exact)
            self._sums[name].add_(loss.detach(), alpha=images)
        self.last = losses["loss"].detach()
        self._images += images

    def gather(self) -> None:
        """Take in, in the first process, what all others have seen."""
        everyone = gather_objects(({name: float(total) for name, total in self._sums.items()}, self._images))
        sums: dict[str, float] = {}
        for theirs, _ in everyone:
            for name, total in theirs.items():
                sums[name] = sums.get(name, 0.0) + total
        self._sums = {name: torch.tensor(total, dtype=torch.float64) for name, total in sums.items()}
        self._images = sum(images for _, images in everyone)

    def means(self) -> dict[str, Tensor]:
        """Each loss, a scalar; empty before the first batch."""
        return {name: total / self._images for name, total in self._sums.items()}

    def reset(self) -> None:
        """Forget every batch."""
        self.last = None
        self._sums.clear()
        self._images = 0
