"""``find batch``: the largest batch that fits into a GPU's memory, or the smallest that is fast on a CPU."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from visionkit.console import Printer
from visionkit.data.memory import available_memory
from visionkit.distributed.devices import device_name
from visionkit.errors import UserError
from visionkit.runs.config import RunConfig
from visionkit.training.batch_norm import check_batch_norm
from visionkit.training.caller_state import keep_caller_state
from visionkit.training.finders.batch_search import (
    NEAR_BEST,
    StepCost,
    fastest_enough,
    search_memory,
    search_speed,
)
from visionkit.training.finders.batch_sizes import BatchSizes, format_bytes
from visionkit.training.finders.memory import StepMemory, resident_peak
from visionkit.training.finders.options import BatchOptions
from visionkit.training.finders.prepare import plan_single_process
from visionkit.training.finders.progress import FinderProgress
from visionkit.training.finders.step_cost import TrainingSteps

__all__ = ["find_batch", "free_device_memory"]

_STEPS_PER_EPOCH = 10
"""A batch that leaves fewer is hardly what a person wants, however fast it is."""
_SMALL = 8
"""Images in a batch that are always allowed, however few there are."""
_SHARE_OF_GPU = 0.95
"""The rest is left for images with more objects than those that were tried."""
_SHARE_OF_RAM = 0.8
"""Of what is free beside a CPU: what its libraries take is not in the arithmetic."""


def find_batch(config: RunConfig, options: BatchOptions, *, printer: Printer) -> BatchSizes:
    """Find the size of a batch by training steps on real batches. Nothing is written.

    Args:
        config: The configuration; of several devices one is measured, and the suggestion is for all.
        options: The user's.
        printer: Shows what is done.

    Raises:
        UserError: If configuration or data are wrong, or no batch fits into memory.
    """
    config, accelerator, devices = plan_single_process(config, subject="batch")
    with keep_caller_state():
        steps = TrainingSteps(config, accelerator=accelerator, seconds=options.seconds)
        upper, bound = _largest_size(options.largest, steps.datamodule.sizes["train"], devices)
        printer.print(f"device   {device_name(accelerator)}, precision {config.hardware.precision}")
        with FinderProgress(printer, "trying batches") as progress:
            search = _Search(config, steps, progress, upper=upper, free=free_device_memory(accelerator))
            costs = search.by_memory() if accelerator == "cuda" else search.by_speed()
    fitting = [cost for cost in costs if cost.seconds is not None]
    largest = max(fitting, key=lambda cost: cost.size, default=None)
    chosen = largest if accelerator == "cuda" else fastest_enough(costs)
    if chosen is None or largest is None:
        raise UserError(
            f"find batch: no batch of this network fits into the memory of {device_name(accelerator)}: "
            f"{search.ended_by}. Try a smaller dataset.image_size, another backbone, or hardware.precision=bf16"
        )
    ended_by = search.ended_by
    if largest.size == upper:
        ended_by = bound
    if chosen.size < largest.size:
        ended_by = f"the smallest with {100 * NEAR_BEST:.0f} % of the most images per second"
    return BatchSizes(
        suggestion=chosen.size * devices, costs=costs, estimates=search.estimates(costs), devices=devices,
        device=device_name(accelerator), precision=config.hardware.precision, free=search.free,
        by="memory" if accelerator == "cuda" else "speed", ended_by=ended_by,
        batch_size=config.recipe.batch_size, lr=config.recipe.lr,
    )  # fmt: skip


def _largest_size(largest: int | None, num_images: int, devices: int) -> tuple[int, str]:
    """The largest size for one device that makes sense, and why."""
    if largest is None:
        upper = max(1, min(_SMALL, num_images) // devices, num_images // (_STEPS_PER_EPOCH * devices))
        return (
            upper,
            f"an epoch of {num_images:,} images keeps {num_images // (upper * devices)} steps; largest= for more",
        )
    if largest < num_images:
        return max(1, largest // devices), f"largest={largest} was typed"
    return max(1, num_images // devices), f"there are {num_images:,} training images"


def free_device_memory(accelerator: str) -> int | None:
    """The bytes that are free for a training: of the GPU, or of the machine; None if unknown."""
    if accelerator == "cuda":
        free, _ = torch.cuda.mem_get_info()
        return free + torch.cuda.memory_reserved() - torch.cuda.memory_allocated()
    return available_memory()


class _Search:
    """Both searches, with what bounds them.

    Attributes:
        free: Bytes that were free at the beginning; None if unknown.
        ended_by: Why no larger size was tried.
    """

    def __init__(
        self, config: RunConfig, steps: TrainingSteps, progress: FinderProgress, *, upper: int, free: int | None
    ) -> None:
        self.config, self.steps, self.progress, self.upper, self.free = config, steps, progress, upper, free
        self.ended_by = ""
        self._memory = StepMemory(config, steps.datamodule.info)
        self._count = 0
        self._peak_before = resident_peak()
        self._last_size = 0

    def estimates(self, costs: Sequence[StepCost]) -> dict[int, int]:
        """The bytes that each size takes by arithmetic, where it says any."""
        found = {cost.size: self._memory.estimate(cost.size, pixels=self.steps.pixels) for cost in costs}
        return {size: count for size, count in found.items() if count is not None}

    def by_memory(self) -> list[StepCost]:
        """The largest that fits, from what the arithmetic says would."""
        limit = None if self.free is None else int(_SHARE_OF_GPU * self.free)
        first, one = min(8, self.upper), self._memory.estimate(1)
        if limit is not None and one is not None:
            fixed = 2 * one - (self._memory.estimate(2) or 0)
            first = max(1, (limit - fixed) // max(1, one - fixed))
            first = 2 ** (first.bit_length() - 1)
        host = available_memory()
        batch_bytes = sum(value.nbytes for value in self.steps.read_batch(1).values())
        upper = self.upper if host is None else max(1, min(self.upper, int(host / 2 / batch_bytes)))
        self.ended_by = "the largest that fits into the GPU's memory"
        return search_memory(self._measure, first=first, upper=upper, limit=limit)

    def by_speed(self) -> list[StepCost]:
        """Sizes from 1 upwards as long as they are faster, and their estimated memory is free."""
        self.ended_by = f"the smallest with {100 * NEAR_BEST:.0f} % of the most images per second"
        return search_speed(self._measure, self._sizes())

    def _sizes(self) -> Iterator[int]:
        powers = [2**power for power in range(self.upper.bit_length())]
        for size in [*powers, *([self.upper] if powers[-1] < self.upper else [])]:
            needed = self._needed(size)
            if self.free is not None and needed is not None and needed > _SHARE_OF_RAM * self.free:
                self.ended_by = (
                    f"a batch of {size} would take some {format_bytes(needed)} of memory, of which "
                    f"{format_bytes(self.free)} are free"
                )
                return
            if size > 1 or self._takes_one_image():
                yield size
                self._last_size = size

    def _needed(self, size: int) -> int | None:
        """Bytes that a step with this size will take."""
        estimate = self._memory.estimate(size, pixels=self.steps.pixels)
        peak = resident_peak()
        if estimate is not None or not self._last_size or peak is None or self._peak_before is None:
            return estimate
        return (peak - self._peak_before) * size // self._last_size

    def _takes_one_image(self) -> bool:
        try:
            check_batch_norm(self.config, batch_size=1, num_processes=1)
        except UserError:
            return False
        return True

    def _measure(self, size: int) -> StepCost:
        self._count += 1
        self.progress.update(self._count, f"a batch of {size}")
        return self.steps.measure(size)
