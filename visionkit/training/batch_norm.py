"""Batch norm in training needs more than one value per channel: checked by arithmetic, before anything is written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from visionkit.blocks.normalization import BatchNorm
from visionkit.blocks.trace import LayerRecord
from visionkit.errors import UserError
from visionkit.inspection.network import trace_network

if TYPE_CHECKING:
    from visionkit.runs.config import RunConfig

__all__ = ["check_batch_norm"]

_LARGEST_IMAGE = 4096


def check_batch_norm(config: RunConfig, *, batch_size: int, num_processes: int) -> None:
    """Check that no batch norm of the network sees a single value per channel, whose variance is 0.

    Args:
        config: The configuration.
        batch_size: The images of a training batch, over all processes.
        num_processes: The number of processes that share them.

    Raises:
        UserError: If one does; names the smallest batch, and the smallest image with which there is none.
    """
    synchronised = num_processes > 1 and config.hardware.sync_batch_norm
    if synchronised or batch_size // num_processes > 1:
        return
    info = config.source.info()
    height, width = info.image_size
    record = next(_with_one_value(config, (height, width)), None)
    if record is None:
        return
    share = f" over {num_processes} processes" if num_processes > 1 else ""
    smallest = _smallest_image(config, max(height, width))
    larger = (
        "" if smallest is None else f", or images of {smallest}x{smallest} or larger: dataset.image_size={smallest}"
    )
    raise UserError(
        f"'{'.'.join(record.path)}' normalises over the batch, and with {batch_size} image in it{share} and a map of "
        f"1x1 it has one value per channel, of which there is no variance. Expected {2 * num_processes} images in a "
        f"batch at least: recipe.batch_size={2 * num_processes} (and as many images for training){larger}. Layers "
        "without batch statistics need neither: backbone.layer_defaults.norm=group"
    )


def _with_one_value(config: RunConfig, image_size: tuple[int, int]) -> Iterator[LayerRecord]:
    """The batch norms that have one value per channel for a batch of one image."""
    network = trace_network(
        config.backbone, image_size=image_size, head=config.head, num_classes=config.source.info().num_classes
    )
    for record in network.primitives:
        runs = record.runs if record.training_runs is None else record.training_runs
        if isinstance(record.node, BatchNorm) and runs * record.before.height.size * record.before.width.size == 1:
            yield record


def _smallest_image(config: RunConfig, too_small: int) -> int | None:
    """The side of the smallest square image with which no batch norm has one value; None if there is none."""
    low, high = too_small, 2 * too_small
    while any(_with_one_value(config, (high, high))):
        low, high = high, 2 * high
        if high > _LARGEST_IMAGE:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        if any(_with_one_value(config, (middle, middle))):
            low = middle
        else:
            high = middle
    return high
