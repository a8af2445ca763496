"""What a stand-in for a model lacks beside its losses of a batch."""

from typing import Any

from torch import Tensor

from visionkit.losses.sums import LossSums


class BatchLosses:
    """The sums of losses that are means over images."""

    loss: Any

    def loss_sums(self, outputs: dict[str, Tensor], targets: dict[str, Tensor]) -> dict[str, LossSums]:
        losses = self.loss(outputs, targets)
        return {name: LossSums.of_mean(loss, len(targets["images"])) for name, loss in losses.items()}
