"""The objects that a person gives to a run in Python, and the markers that stand for them in its configuration."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from visionkit.errors import UserError
from visionkit.heads import HEADS, HeadSpec, parse_head
from visionkit.heads.python_head import PythonHeadSpec
from visionkit.losses.python_loss import LOSS_TARGETS, PythonLossSpec
from visionkit.metrics.python_metric import PythonMetricSpec
from visionkit.metrics.spec import MetricSpec
from visionkit.runs.descriptions import describe_object, describe_type

__all__ = ["MARKER", "RunObjects", "is_marker", "without_markers"]

MARKER = "python"
"""The ``type`` of what stands in a configuration for an object; no configuration makes one of it."""

_DEFAULT_LOSSES = {"classify": "cross_entropy", "multilabel": "binary_cross_entropy", "segment": "cross_entropy"}


@dataclass(frozen=True)
class RunObjects:
    """The objects of a run; made by `of`.

    Attributes:
        head: A `visionkit.heads.HeadSpec`, a `visionkit.heads.base.Head`, or a callable of ``(feature_info,
            num_classes)`` that gives a `Head`.
        loss: A callable of logits and targets; see `visionkit.losses.python_loss.PythonLossSpec`.
        metrics: `torchmetrics.Metric` by name.
        datasets: `torch.utils.data.Dataset` by split.
    """

    head: Any = None
    loss: Any = None
    metrics: Mapping[str, Any] = field(default_factory=dict)
    datasets: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, *, head: Any = None, loss: Any = None, metrics: Any = None, datasets: Any = None) -> RunObjects:
        """Check the types of objects.

        Args:
            head: As the attribute.
            loss: As the attribute.
            metrics: A metric, a `torchmetrics.MetricCollection`, a list of these, or a mapping of names to metrics.
            datasets: A data set for training, or a mapping of splits to data sets.

        Raises:
            UserError: If one has another type; names what was found and what was expected.
        """
        _check_head(head)
        if loss is not None and (isinstance(loss, type) or not callable(loss)):
            raise UserError(
                f"loss: found {describe_type(loss)}. Expected a callable of logits and targets that gives a scalar "
                "tensor, such as torch.nn.CrossEntropyLoss(label_smoothing=0.1)."
            )
        if datasets is None:
            datasets = {}
        return cls(
            head, loss, _named_metrics(metrics), datasets if isinstance(datasets, Mapping) else {"train": datasets}
        )

    def __bool__(self) -> bool:
        return self.head is not None or self.loss is not None or bool(self.metrics) or bool(self.datasets)

    @property
    def named(self) -> dict[str, Any]:
        """Each object by the keyword that it is given by."""
        single = {name: each for name, each in (("head", self.head), ("loss", self.loss)) if each is not None}
        metrics = {f"metrics['{name}']": each for name, each in self.metrics.items()}
        return single | metrics | {f"dataset['{name}']": each for name, each in self.datasets.items()}

    def marked(self, plain: Mapping[str, Any]) -> dict[str, Any]:
        """A resolved configuration in which a marker with its description stands for each object."""
        marked = dict(plain)
        if self.head is not None:
            marked["head"] = _marker(self.head)
        if self.loss is not None:
            marked["head"] = {**_mapping(marked["head"]), "loss": _marker(self.loss)}
        if self.metrics:
            task = _task(plain)
            chosen = [value for value in task.get("metrics", ()) if not is_marker(value)]
            markers = [{**_marker(each), "name": name} for name, each in self.metrics.items()]
            marked["task"] = {**task, "metrics": [*chosen, *markers]}
        if self.datasets:
            objects = {split: describe_object(each) for split, each in self.datasets.items()}
            marked["dataset"] = {**_mapping(plain["dataset"]), "type": MARKER, "objects": objects}
        return marked

    def check_present(self, plain: Mapping[str, Any], *, predicts: bool = False) -> None:
        """Check that there is an object for each marker of a configuration, which itself never makes one.

        Args:
            plain: The resolved configuration.
            predicts: Whether the head alone is needed.

        Raises:
            UserError: If one is missing.
        """
        head, dataset = _mapping(plain.get("head")), _mapping(plain.get("dataset"))
        metrics = _task(plain).get("metrics")
        chosen = metrics if isinstance(metrics, Sequence) and not isinstance(metrics, str) else ()
        missing: list[tuple[str, Any]] = []
        if is_marker(head) and self.head is None:
            missing.append(("head", head))
        if is_marker(head.get("loss")) and self.loss is None and not predicts:
            missing.append(("loss", head["loss"]))
        if any(_marked_name(value) not in self.metrics for value in chosen if is_marker(value)) and not predicts:
            missing += [("metrics", value) for value in chosen if is_marker(value)][:1]
        if is_marker(dataset) and not self.datasets and not predicts:
            missing.append(("dataset", dataset))
        if not missing:
            return
        names = " and ".join(f"{name} ({_described(marker)})" for name, marker in missing)
        again = ", ".join(f"{name}=..." for name, _ in missing)
        load = "visionkit.load('runs/...', head=...), " if "head" in dict(missing) else ""
        raise UserError(
            f"{missing[0][0]}: the run was made from Python with an object as its {names}, which no file can bring "
            f"back and no command can give. Expected the same again: {load}visionkit.train(run='runs/...', {again}) or "
            f"visionkit.evaluate('runs/...', {again})"
        )

    def check_fits_run(self, stored: Mapping[str, Any], *, folder: Path) -> None:
        """Check that a run which is loaded or resumed was made with a head and a loss of Python, where one is given.

        Raises:
            UserError: If one is given, and the run has none.
        """
        head = _mapping(stored.get("head"))
        pairs = (("head", self.head, head), ("loss", self.loss, head.get("loss")))
        for name, given, marker in pairs:
            if given is not None and not is_marker(marker):
                raise UserError(
                    f"{name}: found {describe_object(given)}, but '{folder}' was made with the {name} of its "
                    f"config.yaml. Expected none. For a new run with it: visionkit.train(run='{folder}', {name}=...)"
                )

    def parse_head(self, values: Any, *, task: str) -> HeadSpec:
        """The specification of the head: the object, or what the configuration says, with the loss that is given.

        Raises:
            UserError: If the head is for another task, or does not take a loss.
        """
        if self.loss is not None and task not in LOSS_TARGETS:
            raise UserError(
                f"loss: found {describe_object(self.loss)}, but a head of task '{task}' has several losses, each of "
                f"another part of its outputs. Tasks with one: {', '.join(LOSS_TARGETS)}. Try an own head: head=..."
            )
        marked_loss = is_marker(_mapping(values).get("loss"))
        if isinstance(self.head, HeadSpec):
            spec = self.head
            if spec.task != task:
                raise UserError(f"head: {describe_object(spec)} serves task '{spec.task}', not '{task}'.")
        elif self.head is not None:
            spec = PythonHeadSpec(factory=self.head, task=task)
        elif marked_loss:
            spec = parse_head({**values, "loss": {_DEFAULT_LOSSES.get(task, ""): 1.0}}, task=task)
        else:
            spec = parse_head(values, task=task)
        if self.loss is None:
            return spec
        return self._with_loss(spec, task=task)

    def parse_metrics(self, chosen: Sequence[MetricSpec]) -> tuple[MetricSpec, ...]:
        """The metrics of the configuration and those that are given."""
        own = (PythonMetricSpec(name=name, metric=metric) for name, metric in self.metrics.items())
        return (*chosen, *own)

    def _with_loss(self, spec: HeadSpec, *, task: str) -> HeadSpec:
        if not hasattr(spec, "loss"):
            raise UserError(
                f"loss: found {describe_object(self.loss)}, and a head of your own, which says by its method loss what "
                "is minimised. Expected one of them: leave loss out, or take a head that the configuration knows."
            )
        values: Any = spec
        return replace(values, loss=(PythonLossSpec(weight=1.0, function=self.loss, task=task),))  # type: ignore[no-any-return]


def is_marker(value: Any) -> bool:
    """Whether a value of a configuration stands for an object."""
    return value == MARKER or (isinstance(value, Mapping) and value.get("type") == MARKER)


def without_markers(plain: Mapping[str, Any]) -> Any:
    """The task section of a configuration without the markers of metrics."""
    task = plain["task"]
    metrics = task.get("metrics") if isinstance(task, Mapping) else None
    if not isinstance(metrics, list | tuple):
        return task
    return {**task, "metrics": [value for value in metrics if not is_marker(value)]}


def _check_head(head: Any) -> None:
    if head is None or isinstance(head, HeadSpec):
        if head is not None and type(head).__name__ not in _registered():
            raise UserError(
                f"head: {describe_object(head)} is of a class that is not registered. Expected above the class: "
                '@visionkit.heads.head("mine", module=MyHead)'
            )
        return
    if isinstance(head, type) and issubclass(head, HeadSpec):
        raise UserError(f"head: found the class {head.__name__}. Expected one of it, such as {head.__name__}(...)")
    import torch

    from visionkit.heads.base import Head

    is_module = isinstance(head, torch.nn.Module) or (isinstance(head, type) and issubclass(head, torch.nn.Module))
    of_head = isinstance(head, Head) or (isinstance(head, type) and issubclass(head, Head))
    if of_head or (callable(head) and not is_module):
        abstract = sorted(getattr(head, "__abstractmethods__", ()))
        if isinstance(head, type) and abstract:
            raise UserError(f"head: {head.__name__} lacks {', '.join(abstract)}. Expected forward, loss and predict.")
        return
    raise UserError(
        f"head: found {describe_type(head)}. Expected a callable of (feature_info, num_classes) that gives a "
        "visionkit.heads.base.Head, with its methods forward, loss and predict; or a visionkit.heads.HeadSpec."
    )


def _registered() -> set[str]:
    return {type_name.__name__ for type_name in (HEADS.get(name) for name in HEADS.names())}


def _named_metrics(metrics: Any) -> dict[str, Any]:
    """Metrics by name; one without a name has that of its class, in the spelling of functions."""
    if metrics is None:
        return {}
    from torchmetrics import Metric, MetricCollection

    pairs: list[tuple[str, Any]] = []
    given = metrics if isinstance(metrics, Mapping | list | tuple) else [metrics]
    if isinstance(metrics, MetricCollection):
        given = [metrics]
    for key, metric in given.items() if isinstance(given, Mapping) else ((None, each) for each in given):
        if isinstance(metric, MetricCollection):
            pairs += [(f"{key}_{name}" if key else name, each) for name, each in metric.items(keep_base=False)]
        elif isinstance(metric, Metric):
            pairs.append((str(key or _snake_case(type(metric).__name__)), metric))
        else:
            raise UserError(
                f"metrics: found {describe_type(metric)}. Expected a torchmetrics.Metric, a MetricCollection, a list "
                "of them, or a mapping such as {'recall': MulticlassRecall(num_classes=10)}."
            )
    names = [name for name, _ in pairs]
    for name in names:
        if not name.isidentifier():
            raise UserError(f"metrics: '{name}' is no name. Expected letters, digits and _, such as 'recall'.")
        if names.count(name) > 1:
            raise UserError(
                f"metrics: '{name}' is named twice. Expected a name each: metrics={{'one': ..., 'other': ...}}"
            )
    return dict(pairs)


def _snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def _marker(value: Any) -> dict[str, str]:
    return {"type": MARKER, "object": describe_object(value)}


def _marked_name(marker: Any) -> Any:
    return marker.get("name") if isinstance(marker, Mapping) else None


def _described(marker: Any) -> str:
    found = marker.get("object", marker.get("objects", MARKER)) if isinstance(marker, Mapping) else marker
    return found if isinstance(found, str) else ", ".join(map(str, found.values())) if found else MARKER


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {"type": value} if isinstance(value, str) else {}


def _task(plain: Mapping[str, Any]) -> Mapping[str, Any]:
    task = plain.get("task")
    return task if isinstance(task, Mapping) else {"name": task}
