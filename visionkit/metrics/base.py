"""What the metrics of all tasks share: metrics of the user's choice, and gathering over processes."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from visionkit.distributed.comm import gather_objects
from visionkit.errors import UserError
from visionkit.metrics.intervals import ImageValues
from visionkit.metrics.table import Table

__all__ = ["TaskMetrics", "gather_metric", "metric_scalars"]


class TaskMetrics(nn.Module):
    """The metrics of a task over a whole split; a task's own add ``update``, scalars and tables, and this has none.

    Args:
        class_names: The K classes, in the order of their ids.
        extra: Metrics of the user's choice by name, updated with the same predictions and targets.
        intervals: Whether `intervals` is wanted, for which numbers of each image are kept.

    Raises:
        UserError: If a metric of the user's choice has the name of one of the task's.
    """

    def __init__(
        self, class_names: Sequence[str], extra: Mapping[str, Metric] | None = None, *, intervals: bool = False
    ) -> None:
        super().__init__()
        self.class_names = tuple(class_names)
        taken = sorted({"loss", *self.own_names(len(self.class_names))} & set(extra or {}))
        if taken:
            raise UserError(f"task.metrics: '{taken[0]}' is a metric of the task itself. Give yours another name.")
        self.extra: Any = nn.ModuleDict(dict(extra or {}))
        self.images: ImageValues | None = ImageValues() if intervals else None

    def own_names(self, num_classes: int) -> Collection[str]:
        """The names of the task's own scalars."""
        return ()

    def gather(self) -> None:
        """Merge the batches of all processes into the first one."""
        for metric in self.extra.values():
            gather_metric(metric)
        if self.images is not None:
            gather_metric(self.images)

    def state(self) -> list[Any]:
        """The states of all metrics in each process, in the first process; for a checkpoint within an epoch."""
        cpu = torch.device("cpu")
        return gather_objects(
            {
                name: {key: _to_device(state, cpu) for key, state in metric.metric_state.items()}
                for name, metric in self._named_metrics()
            }
        )

    def load_state(self, states: Sequence[Any]) -> None:
        """Merge the states that `state` gave into these metrics, which have seen no batch."""
        for process_states in states:
            for name, metric in self._named_metrics():
                state = process_states.get(name, {})
                metric.merge_state({key: _to_device(value, metric.device) for key, value in state.items()})
                metric._update_count = max(metric._update_count, 1)  # or `compute` warns that there was no batch

    def _named_metrics(self) -> Iterator[tuple[str, Metric]]:
        return ((name, module) for name, module in self.named_modules() if isinstance(module, Metric))

    def scalars(self) -> dict[str, Tensor]:
        """The metrics of all batches since the last `reset`, scalar tensors.

        Raises:
            UserError: As `metric_scalars`.
        """
        results = (metric_scalars(name, metric, place="task.metrics") for name, metric in self.extra.items())
        return {name: value for scalars in results for name, value in scalars.items()}

    def intervals(self) -> dict[str, Tensor]:
        """The 95 % interval of the task's main metric, as ``NAME_low`` and ``NAME_high``, scalar tensors.

        Empty of fewer than two images, or where intervals are not wanted. Wilson's of an accuracy, of other metrics the
        middle 95 % of those of the split's images drawn anew, with replacement, up to 1,000 times.
        """
        return {}

    def tables(self) -> dict[str, Table]:
        """Tables of all batches since the last `reset`."""
        return {}

    def reset(self) -> None:
        """Discard all batches."""
        for metric in self.extra.values():
            metric.reset()
        if self.images is not None:
            self.images.reset()


def gather_metric(metric: Metric) -> None:
    """Merge the states of all processes into the metric of the first one; the others stay as they are.

    torchmetrics' own synchronisation expects the same kinds of tensors from every process; one may have no samples.
    """
    for part in metric.modules():  # a wrapper's own states are empty, and those of what it wraps count
        if not isinstance(part, Metric) or not part.metric_state:
            continue
        states = gather_objects(
            {name: _to_device(state, torch.device("cpu")) for name, state in part.metric_state.items()}
        )
        for state in states[1:]:
            part.merge_state({name: _to_device(value, part.device) for name, value in state.items()})


def metric_scalars(name: str, metric: Metric, *, place: str) -> dict[str, Tensor]:
    """What a metric of the user's choice computes, as scalar tensors.

    Args:
        name: The name of a scalar. Of a dict the scalars count, as ``<name>_<key>``, and not its values per class.
        metric: The metric, after an update.
        place: What an error message begins with.

    Raises:
        UserError: If it computes no scalar and no dict with one.
    """
    value = metric.compute()
    values = {f"{name}_{key}": item for key, item in value.items()} if isinstance(value, Mapping) else {name: value}
    scalars = {key: item for key, item in values.items() if isinstance(item, Tensor) and not item.ndim}
    if not scalars:
        found = [f"shape {tuple(v.shape)}" if isinstance(v, Tensor) else type(v).__name__ for v in values.values()]
        raise UserError(
            f"{place}: '{name}' is no scalar: found {', '.join(found) or 'an empty dict'}. Expected a scalar tensor."
        )
    return scalars


def _to_device(state: Tensor | list[Tensor], device: torch.device) -> Tensor | list[Tensor]:
    return state.to(device) if isinstance(state, Tensor) else [tensor.to(device) for tensor in state]
