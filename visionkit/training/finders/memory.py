"""The memory of a training step: by the arithmetic of ``inspect``, or by what smaller batches have taken."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from visionkit.inspection.network import Network, trace_network
from visionkit.inspection.totals import totals

if TYPE_CHECKING:
    from visionkit.data.sources import DataInfo
    from visionkit.runs.config import RunConfig

__all__ = ["StepMemory", "resident_peak"]


class StepMemory:
    """What a training step takes, by the size of its batch.

    Args:
        config: The configuration.
        info: That of its data set.
    """

    def __init__(self, config: RunConfig, info: DataInfo) -> None:
        self._optimizer = config.recipe.optimizer
        self._image = info.image_size[0] * info.image_size[1]
        self._maps = 1.0 if config.hardware.precision == "32" else 0.5
        self._network: Network = trace_network(
            config.backbone, image_size=info.image_size, head=config.head, num_classes=info.num_classes
        )

    def estimate(self, size: int, *, pixels: int = 0) -> int | None:
        """Bytes of weights, gradients, optimizer state and feature maps; None of a network that is not traced.

        Args:
            size: Images in the batch.
            pixels: Height times width of its images, where that is more than the data set says.
        """
        found = totals(self._network, batch_size=size, optimizer=self._optimizer)
        if found.peak_training_memory is None:
            return None
        gradients = 4 * found.parameters
        larger = max(1.0, pixels / self._image)
        return found.checkpoint_size + gradients + int(larger * self._maps * found.peak_training_memory)


def resident_peak() -> int | None:
    """The most bytes of memory that this process has had; None where the system does not say."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
