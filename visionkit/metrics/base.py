"""What the metrics of all tasks share: the empty metric, and gathering over processes."""

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from visionkit.distributed.comm import gather_objects
from visionkit.metrics.table import Table

__all__ = ["NoMetrics", "gather_metric"]


class NoMetrics(nn.Module):
    """The metrics of a stage that has losses alone."""

    def gather(self) -> None:
        """Do nothing."""

    def scalars(self) -> dict[str, Tensor]:
        """No scalars."""
        return {}

    def tables(self) -> dict[str, Table]:
        """No tables."""
        return {}

    def reset(self) -> None:
        """Do nothing."""


def gather_metric(metric: Metric) -> None:
    """Merge the states of all processes into the metric of the first one; the others stay as they are.

    torchmetrics' own synchronisation expects the same kinds of tensors from every process; one may have no samples.
    """
    states = gather_objects(
        {name: _to_device(state, torch.device("cpu")) for name, state in metric.metric_state.items()}
    )
    for state in states[1:]:
        metric.merge_state({name: _to_device(value, metric.device) for name, value in state.items()})


def _to_device(state: Tensor | list[Tensor], device: torch.device) -> Tensor | list[Tensor]:
    return state.to(device) if isinstance(state, Tensor) else [tensor.to(device) for tensor in state]
