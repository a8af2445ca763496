"""No metrics, where losses are enough."""

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from visionkit.distributed.comm import gather_objects
from visionkit.metrics.table import Table

__all__ = ["NoMetrics", "gather_metric"]


class NoMetrics(nn.Module):
    """Takes nothing in and has nothing to say."""

    def gather(self) -> None:
        """Nothing is taken in from other processes."""

    def scalars(self) -> dict[str, Tensor]:
        """None."""
        return {}

    def tables(self) -> dict[str, Table]:
        """None."""
        return {}

    def reset(self) -> None:
        """Nothing is forgotten."""


def gather_metric(metric: Metric) -> None:
    """Let the metric of the first process take in what those of the others have seen; theirs stay as they are.

    torchmetrics' own way asks every process for tensors of equal kind; here one may have seen nothing at all.
    """
    states = gather_objects({name: _moved(state, torch.device("cpu")) for name, state in metric.metric_state.items()})
    for state in states[1:]:
        metric.merge_state({name: _moved(value, metric.device) for name, value in state.items()})


def _moved(state: Tensor | list[Tensor], device: torch.device) -> Tensor | list[Tensor]:
    return state.to(device) if isinstance(state, Tensor) else [tensor.to(device) for tensor in state]
