"""Metrics of the user's choice beside those of the task: ``task.metrics``; needs no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from visionkit.errors import UserError
from visionkit.registry import Registry
from visionkit.schema import describe, parse_typed

if TYPE_CHECKING:
    from torchmetrics import Metric

__all__ = ["METRICS", "MetricSpec", "build_metrics", "metric", "parse_metrics"]


@dataclass(frozen=True, kw_only=True)
class MetricSpec:
    """A metric; its fields are arguments of the `torchmetrics.Metric` it registers.

    What the metric's ``update`` takes depends on the task: probabilities (B, K) and labels (B,) int64 in ``classify``,
    probabilities (B, K) and label sets (B, K) int64, 0 or 1, in ``multilabel``, masks and true masks (B, H, W) uint8
    with 255 for ignored pixels in ``segment``, and for ``detect`` and ``instance`` a list of dicts each of predictions
    and targets, as `torchmetrics.detection.MeanAveragePrecision`. A scalar becomes ``<split>/<name>``, the scalars of a
    dict ``<split>/<name>_<key>``.
    """

    tasks: ClassVar[tuple[str, ...]]
    """The tasks it is for."""

    def arguments(self, num_classes: int) -> dict[str, Any]:
        """The arguments of the metric for K classes."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def build(self, num_classes: int) -> tuple[str, Metric]:
        """Its name and the metric for K classes, which is synchronised by `visionkit.metrics.base` alone."""
        metric: Any = METRICS.module_of(type(self))
        return METRICS.name_of(type(self)), metric(**self.arguments(num_classes), sync_on_compute=False)


METRICS: Registry[MetricSpec] = Registry("metric", base=MetricSpec)
metric = METRICS.register
"""Decorator that registers a `MetricSpec` for ``task.metrics``: ``@metric("mine", module="my_file:MyMetric")``."""


@dataclass(frozen=True, kw_only=True)
class ClassificationMetricSpec(MetricSpec):
    """A metric of `torchmetrics.classification`."""

    tasks = ("classify",)

    def arguments(self, num_classes: int) -> dict[str, Any]:
        return {"num_classes": num_classes, "validate_args": False, **super().arguments(num_classes)}


@metric("auroc", module="torchmetrics.classification:MulticlassAUROC")
@dataclass(frozen=True, kw_only=True)
class AurocSpec(ClassificationMetricSpec):
    """The area under the ROC curve of each class against the others, averaged."""

    average: Literal["macro", "weighted"] = "macro"


@metric("average_precision", module="torchmetrics.classification:MulticlassAveragePrecision")
@dataclass(frozen=True, kw_only=True)
class AveragePrecisionSpec(ClassificationMetricSpec):
    """The area under the precision-recall curve of each class against the others, averaged."""

    average: Literal["macro", "weighted"] = "macro"


@metric("cohen_kappa", module="torchmetrics.classification:MulticlassCohenKappa")
@dataclass(frozen=True, kw_only=True)
class CohenKappaSpec(ClassificationMetricSpec):
    """Agreement beyond chance (Cohen 1960)."""

    weights: Literal["linear", "quadratic"] | None = None


@metric("matthews_corrcoef", module="torchmetrics.classification:MulticlassMatthewsCorrCoef")
@dataclass(frozen=True, kw_only=True)
class MatthewsSpec(ClassificationMetricSpec):
    """The correlation of predictions and labels (Matthews 1975)."""


def parse_metrics(values: Any, *, task: str) -> tuple[MetricSpec, ...]:
    """Read ``task.metrics``, a list of names, or of mappings with ``type``.

    Raises:
        UserError: If it is no list, or a metric is unknown, for another task, named twice, or has a wrong argument.
    """
    if not isinstance(values, Sequence) or isinstance(values, str):
        raise UserError(f"task.metrics: expected a list, such as [auroc], found {describe(values)}.")
    specs = [parse_typed(METRICS, value, where=f"task.metrics.{i}") for i, value in enumerate(values)]
    names = [METRICS.name_of(type(spec)) for spec in specs]
    for name, spec in zip(names, specs, strict=True):
        if not getattr(spec, "tasks", None):
            raise UserError(
                f"metric '{name}' does not say which tasks it is for. Expected in its class: tasks = (\"classify\",)"
            )
        if task not in spec.tasks:
            known = [n for n in METRICS.names() if task in METRICS.get(n).tasks]
            raise UserError(
                f"task.metrics: '{name}' is for {' and '.join(spec.tasks)}, not for '{task}'. "
                f"For '{task}': {', '.join(known) or 'none yet; a plugin may bring one'}."
            )
        if names.count(name) > 1:
            raise UserError(f"task.metrics: '{name}' is named twice. Expected each metric once.")
    return tuple(specs)


def build_metrics(specs: Sequence[MetricSpec], *, num_classes: int) -> Mapping[str, Metric]:
    """The metrics by name, synchronised by `visionkit.metrics.base.gather_metric` alone."""
    return dict(spec.build(num_classes) for spec in specs)
