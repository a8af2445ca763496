"""Building the LightningModule of a task and its metrics, by the row of `visionkit.tasks.info.TASKS`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from visionkit.metrics.spec import MetricSpec, build_metrics
from visionkit.registry import load
from visionkit.tasks.info import TaskInfo

if TYPE_CHECKING:
    from visionkit.tasks.base import VisionTask

__all__ = ["build_task"]


def build_task(
    info: TaskInfo, model: Any, *, class_names: Sequence[str], extra: Sequence[MetricSpec] = (), **options: Any
) -> VisionTask:
    """The LightningModule of a task.

    Args:
        info: The row of the task.
        model: A `visionkit.models.VisionModel`.
        class_names: The K classes, in the order of their ids.
        extra: Metrics of the user's choice, computed in validation and test.
        **options: Further arguments of `visionkit.tasks.base.VisionTask`, needed for training.
    """
    metrics = {"train": load(info.training_metrics)(class_names)}
    for stage in ("val", "test"):
        chosen = build_metrics(extra, num_classes=len(class_names))
        metrics[stage] = load(info.metrics)(class_names, chosen, intervals=stage == "test")
    task: VisionTask = load(info.module)(model, metrics=metrics, **options)
    return task
