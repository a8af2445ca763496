"""A try of a person's objects on a tiny batch, before anything is written."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from visionkit.data.sample_seeds import preserved_generators
from visionkit.errors import UserError
from visionkit.heads.build import build_head
from visionkit.losses.python_loss import LOSS_TARGETS, PythonLossSpec
from visionkit.metrics.base import metric_scalars
from visionkit.metrics.detection import DetectionMetrics
from visionkit.metrics.instance import InstanceMetrics
from visionkit.metrics.python_metric import PythonMetricSpec
from visionkit.registry import load
from visionkit.runs.descriptions import describe_object
from visionkit.runs.objects import RunObjects
from visionkit.structures.class_ids import IGNORE_INDEX

if TYPE_CHECKING:
    from visionkit.backbones import BackboneSpec
    from visionkit.heads import HeadSpec
    from visionkit.tasks.info import TaskInfo

__all__ = ["check_objects"]

_NUM_IMAGES = 2


def check_objects(objects: RunObjects, task: TaskInfo, head: HeadSpec, backbone: BackboneSpec, info: Any) -> None:
    """Call each object once with tensors of the shapes that it will see; random states stay as they are.

    Args:
        objects: The objects.
        task: The row of the task.
        head: The result of `RunObjects.parse_head`.
        backbone: The backbone.
        info: The `visionkit.data.DataInfo` of the data.

    Raises:
        UserError: If one fails or gives something else; names it, what was found and what was expected.
    """
    with preserved_generators(), warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        if objects.head is not None:
            _check_head(objects, task, head, backbone, info)
        if objects.loss is not None and task.name in LOSS_TARGETS:
            _check_loss(objects.loss, task.name, info.num_classes)
        if objects.metrics:
            _check_metrics(objects, task, info)


@contextmanager
def _explained(name: str, value: Any, expected: str) -> Iterator[None]:
    """A context in which what a person's object raises becomes a `UserError` that names it."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        raise UserError(
            f"{name}: {describe_object(value)} fails on a tiny batch: {reason}. Expected {expected}"
        ) from error


def _check_head(objects: RunObjects, task: TaskInfo, spec: HeadSpec, backbone: BackboneSpec, info: Any) -> None:
    height, width = info.image_size
    backbone = spec.adapt_backbone(backbone)
    with _explained("head", objects.head, "a head for these classes and maps: (feature_info, num_classes) -> Head."):
        head = build_head(spec, backbone, num_classes=info.num_classes, image_size=(height, width))
    if spec.neck is not None:
        return
    shapes = backbone.feature_shapes((height, width))
    features = {
        name: torch.zeros(_NUM_IMAGES, *shape.chw)
        for name, shape in shapes.items()
        if name in spec.out_features(backbone)
    }
    with _explained("head", objects.head, "forward(features, image_size) to a dict of tensors."):
        outputs = head.eval()(features, (height, width))
    if not isinstance(outputs, dict):
        raise UserError(f"head: forward gave a {type(outputs).__name__}. Expected a dict of tensors.")
    _check_logits(outputs, task.name, info.num_classes, (height, width))
    targets = {
        **_targets(task.name, info.num_classes, (height, width)),
        "images": torch.zeros(_NUM_IMAGES, info.in_channels, height, width),
        "image_sizes": torch.tensor([[height, width]] * _NUM_IMAGES),
        "index": torch.arange(_NUM_IMAGES),
    }
    with _explained("head", objects.head, "loss(outputs, targets) to a dict of scalar tensors."), torch.enable_grad():
        losses = head.loss({name: _with_gradient(value) for name, value in outputs.items()}, targets)
    if not isinstance(losses, dict) or any(not isinstance(v, torch.Tensor) or v.ndim for v in losses.values()):
        raise UserError("head: loss gave no dict of scalar tensors. Expected one such as {'loss': ...}.")
    if task.name in LOSS_TARGETS:  # a detector's may have no object to learn from here
        _check_gradient("head", losses)
    with _explained("head", objects.head, "predict(outputs, image_sizes) to a dict of tensors."):
        predictions = head.predict(outputs, targets["image_sizes"])
    missing = [key for key in _PREDICTIONS[task.name] if key not in predictions]
    if missing:
        raise UserError(f"head: predict gave {sorted(predictions)}. Expected {', '.join(missing)} too.")


_PREDICTIONS = {
    "classify": ("labels", "scores", "probabilities"), "multilabel": ("probabilities",), "segment": ("mask",),
    "detect": DetectionMetrics.prediction_keys, "instance": InstanceMetrics.prediction_keys,
}  # fmt: skip
"""What `Head.predict` gives for each task."""


def _with_gradient(value: Any) -> Any:
    """An output of a head as it is in training, which may be changed in place; other values stay as they are."""
    is_float = isinstance(value, torch.Tensor) and value.is_floating_point()
    return value.detach().requires_grad_().clone() if is_float else value


def _check_gradient(name: str, loss: Any) -> None:
    """Check that a loss can be learned from."""
    values = loss.values() if isinstance(loss, dict) else [loss]
    if not any(isinstance(value, torch.Tensor) and value.requires_grad for value in values):
        raise UserError(
            f"{name}: the loss has no gradient, and nothing would be learned from it. Expected a tensor that is "
            "computed from the logits, without detach(), item() or a new torch.tensor(...)."
        )


def _check_logits(outputs: dict[str, Any], task: str, num_classes: int, size: tuple[int, int]) -> None:
    """Check the raw outputs by which classes are measured; those of detectors are their own affair."""
    if task not in LOSS_TARGETS:
        return
    wanted = (_NUM_IMAGES, num_classes, *(size if task == "segment" else ()))
    logits = outputs.get("logits")
    if not isinstance(logits, torch.Tensor) or tuple(logits.shape) != wanted:
        found = f"'logits' of shape {tuple(logits.shape)}" if isinstance(logits, torch.Tensor) else f"{sorted(outputs)}"
        raise UserError(
            f"head: for {_NUM_IMAGES} images forward gave {found}. Expected {{'logits': ...}} of shape "
            f"{wanted}, which task={task} is measured by."
        )


def _targets(task: str, num_classes: int, size: tuple[int, int]) -> dict[str, Any]:
    labels = torch.arange(_NUM_IMAGES) % num_classes
    mask = torch.zeros(_NUM_IMAGES, *size, dtype=torch.uint8)
    mask[:, :1] = IGNORE_INDEX
    label_set = torch.zeros(_NUM_IMAGES, num_classes, dtype=torch.uint8)
    box = torch.tensor([0.0, 0.0, size[1] / 2, size[0] / 2]).expand(_NUM_IMAGES, 1, 4)
    objects = {"boxes": box, "labels": labels[:, None]}
    return {
        "classify": {"label": labels}, "multilabel": {"label_set": label_set}, "segment": {"mask": mask},
        "detect": objects,
        "instance": {**objects, "masks": torch.ones(_NUM_IMAGES, 1, *size, dtype=torch.bool)},
    }[task]  # fmt: skip


def _check_loss(function: Any, task: str, num_classes: int) -> None:
    size = (8, 8)
    logits = torch.zeros(_NUM_IMAGES, num_classes, *(size if task == "segment" else ()))
    targets = _targets(task, num_classes, size)[LOSS_TARGETS[task]]
    loss = PythonLossSpec(weight=1.0, function=function, task=task).load_function(registry=None)  # type: ignore[arg-type]
    expected = {
        "classify": "a scalar of logits (B, K) and labels (B,) int64.",
        "multilabel": "a scalar of logits (B, K) and label sets (B, K) of 0.0 and 1.0.",
        "segment": f"a scalar of logits (B, K, H, W) and masks (B, H, W) int64 with {IGNORE_INDEX} for ignored pixels, "
        f"as torch.nn.CrossEntropyLoss(ignore_index={IGNORE_INDEX}) gives.",
    }
    with _explained("loss", function, expected[task]), torch.enable_grad():
        value = loss(_with_gradient(logits), targets)
    _check_gradient("loss", value)


def _check_metrics(objects: RunObjects, task: TaskInfo, info: Any) -> None:
    names = info.class_names
    extra = dict(PythonMetricSpec(name=name, metric=each).build(len(names)) for name, each in objects.metrics.items())
    load(task.metrics)(names, extra)  # refuses names of the task's own
    for name, metric in extra.items():
        with _explained(f"metrics['{name}']", objects.metrics[name], _EXPECTED_METRIC[task.name]):
            metric.update(*_EXAMPLES[task.name](len(names)))
            metric_scalars(name, metric, place=f"metrics['{name}']")


def _of_labels(num_classes: int) -> tuple[Any, Any]:
    labels = torch.arange(2 * min(num_classes, 64)) % num_classes
    return torch.full((len(labels), num_classes), 1 / num_classes), labels


def _of_label_sets(num_classes: int) -> tuple[Any, Any]:
    return torch.full((4, num_classes), 0.25), (torch.arange(4)[:, None] % 2).expand(4, num_classes).long()


def _of_masks(num_classes: int) -> tuple[Any, Any]:
    masks = (torch.arange(64) % num_classes).to(torch.uint8).view(1, 8, 8)
    return masks, masks.masked_fill(torch.arange(64).view(1, 8, 8) < 8, IGNORE_INDEX)


def _of_objects(num_classes: int) -> tuple[Any, Any]:
    """A found and a missed object on an image each, as `visionkit.metrics.detection` gives them."""
    boxes, labels = torch.tensor([[0.0, 0.0, 8.0, 8.0]], dtype=torch.float64), torch.zeros(1, dtype=torch.int64)
    found = {"boxes": boxes, "labels": labels, "scores": torch.ones(1)}
    truth = {"boxes": boxes, "labels": labels, "iscrowd": labels, "area": torch.full((1,), 64.0), "image_id": labels[0]}
    return [found, {name: value[:0] for name, value in found.items()}], [truth, {**truth, "image_id": labels[0] + 1}]


def _of_instances(num_classes: int) -> tuple[Any, Any]:
    found, truth = _of_objects(num_classes)
    masks = torch.ones(1, 8, 8, dtype=torch.bool)
    with_masks = [{**item, "masks": masks[: len(item["boxes"])]} for item in found]
    return with_masks, [{**item, "masks": masks, "size": torch.tensor([8, 8])} for item in truth]


_EXAMPLES: dict[str, Callable[[int], tuple[Any, Any]]] = {
    "classify": _of_labels, "multilabel": _of_label_sets, "segment": _of_masks, "detect": _of_objects,
    "instance": _of_instances,
}  # fmt: skip
_EXPECTED_METRIC = {
    "classify": "an update with probabilities (B, K) and labels (B,) int64.",
    "multilabel": "an update with probabilities (B, K) and label sets (B, K) int64.",
    "segment": f"an update with masks and true masks (B, H, W) uint8, {IGNORE_INDEX} for ignored pixels, as "
    f"torchmetrics' ignore_index={IGNORE_INDEX} takes.",
    "detect": "an update with lists of dicts, as torchmetrics.detection.MeanAveragePrecision takes.",
    "instance": "an update with lists of dicts, as torchmetrics.detection.MeanAveragePrecision(iou_type='segm') takes.",
}
