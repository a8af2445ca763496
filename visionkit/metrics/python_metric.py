"""A metric that a person gives in Python, as an object; needs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from visionkit.metrics.spec import MetricSpec

__all__ = ["PythonMetricSpec"]


@dataclass(frozen=True, kw_only=True)
class PythonMetricSpec(MetricSpec):
    """A `torchmetrics.Metric`, of which each split gets an empty copy.

    Attributes:
        name: Its name among the run's metrics.
        metric: The object.
    """

    name: str
    metric: Any

    def build(self, num_classes: int) -> tuple[str, Any]:
        metric = self.metric.clone()
        for part in metric.modules():
            if hasattr(part, "sync_on_compute"):
                part.sync_on_compute = part._to_sync = part.dist_sync_on_step = False
                part.persistent(False)
        metric.requires_grad_(False)
        metric.reset()
        return self.name, metric
