"""Metrics of scores and labels of whole images, computed by torchmetrics on many batches at once."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from torchmetrics import Metric, MetricCollection

from visionkit.distributed.comm import gather_objects
from visionkit.metrics.base import TaskMetrics, gather_metric

__all__ = ["BufferedMetrics"]


class BufferedMetrics(TaskMetrics, ABC):
    """A torchmetrics collection of scores (B, K) and labels.

    Batches are buffered up to ``max_buffered_values`` scores and then go through torchmetrics at once: a batch costs an
    append, without synchronising with the device. Updated in each step, torchmetrics takes 44 microseconds of it. In
    training the buffer is small, so that what is kept of steps does not fragment the memory of activations.

    Args:
        class_names: The K classes, in the order of their ids; at least two.
        extra: Metrics of the user's choice by name.
        intervals: Whether `intervals` is wanted.
    """

    max_buffered_values: ClassVar[int] = 1 << 16

    def __init__(
        self, class_names: Sequence[str], extra: Mapping[str, Metric] | None = None, *, intervals: bool = False
    ) -> None:
        super().__init__(class_names, extra, intervals=intervals)
        self.collection = MetricCollection(self.make_metrics(len(self.class_names)), compute_groups=False)
        self._pending: list[tuple[Tensor, Tensor]] = []
        self._buffered_values = self._num_images = 0

    def own_names(self, num_classes: int) -> Collection[str]:
        return self.make_metrics(num_classes)

    @abstractmethod
    def make_metrics(self, num_classes: int) -> dict[str, Metric | MetricCollection]:
        """The metrics by name."""

    def update(self, scores: Tensor, labels: Tensor) -> None:
        """Add one batch.

        Args:
            scores: (B, K) floating: probabilities in 0..1; for the accuracy of a single class logits do, too.
            labels: As the task's batches have them: (B,) int64 in 0..K-1, or (B, K) of 0 and 1.
        """
        self._pending.append((scores.detach(), labels))
        self._buffered_values += scores.numel()
        self._num_images += len(labels)
        if self._buffered_values >= self.max_buffered_values:
            self._flush()

    def gather(self) -> None:
        self._flush()
        super().gather()
        for metric in self.collection.values():
            gather_metric(metric)
        self._num_images = sum(gather_objects(self._num_images))

    def state(self) -> list[Any]:
        self._flush()
        return list(zip(super().state(), gather_objects(self._num_images), strict=True))

    def load_state(self, states: Sequence[Any]) -> None:
        super().load_state([state for state, _ in states])
        self._num_images += sum(num_images for _, num_images in states)

    def scalars(self) -> dict[str, Tensor]:
        """The metrics of all batches since the last `reset`, scalar tensors; empty if there were none."""
        self._flush()
        if not self._num_images:
            return {}
        values: dict[str, Tensor] = self.collection.compute()
        return {name: value for name, value in values.items() if value.ndim == 0} | super().scalars()

    def reset(self) -> None:
        super().reset()
        self._pending.clear()
        self._buffered_values = self._num_images = 0
        self.collection.reset()

    def _flush(self) -> None:
        if not self._pending:
            return
        scores = torch.cat([scores for scores, _ in self._pending]).float()  # (N, K)
        labels = torch.cat([labels for _, labels in self._pending])  # (N,)
        self._pending.clear()
        self._buffered_values = 0
        for metrics in (self.collection, *self.extra.values()):
            metrics.update(scores, labels)
