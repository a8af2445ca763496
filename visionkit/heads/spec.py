"""Specifications of heads as configuration files write them: validated, traced and counted without torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from visionkit.backbones import BackboneSpec
from visionkit.blocks import LayerRecord
from visionkit.config_files import complete, group_names, read_group_file, task_choices
from visionkit.errors import UserError, did_you_mean
from visionkit.necks import NeckSpec
from visionkit.registry import Registry, Row
from visionkit.schema import parse_typed

__all__ = ["HEADS", "HeadSpec", "head", "head_names", "parse_head", "read_head"]


class HeadSpec(ABC):
    """A frozen dataclass whose fields are the keys of ``conf/head/NAME.yaml``; the neck, if any, is one of them.

    `trace` serves counting and building alike: each record holds an expanded tree of blocks and its input shape.
    The row of `HEADS` names the module; `visionkit.heads.build.build_head` builds it.
    """

    task: ClassVar[str]
    """The task this head serves."""

    neck: NeckSpec | None = None
    """The neck between backbone and head; None where the head takes the backbone's features."""

    @abstractmethod
    def trace(self, backbone: BackboneSpec, *, num_classes: int, image_size: tuple[int, int]) -> list[LayerRecord]:
        """The records of all layers after the backbone for one image, the neck's first.

        Raises:
            UserError: If the image is too small for the backbone.
        """

    @abstractmethod
    def arguments(self, backbone: BackboneSpec, *, num_classes: int, image_size: tuple[int, int]) -> dict[str, Any]:
        """The arguments of the head's module, with freshly initialised layers.

        Raises:
            UserError: As `trace`.
        """

    def module_class(self) -> Callable[..., Any]:
        """The class of its module, which `arguments` are for: by the row of `HEADS`.

        Raises:
            UserError: If it is registered without one.
        """
        return HEADS.module_of(type(self))

    def adapt_backbone(self, backbone: BackboneSpec) -> BackboneSpec:
        """The backbone with settings this head needs where its own keys leave them open, such as the output stride.

        Raises:
            UserError: If the backbone cannot be adapted.
        """
        return backbone

    def out_features(self, backbone: BackboneSpec) -> list[str]:
        """The names of the backbone's stages whose features the head takes, fine to coarse."""
        return list(backbone.stages)

    def torchvision_model(self, backbone: BackboneSpec) -> str | None:
        """The name of torchvision's equal model with weights trained on COCO, or None."""
        return None

    def check(self, *, num_classes: int) -> None:  # noqa: B027 - most heads take any number of classes
        """Check that the head's keys fit the number of classes.

        Raises:
            UserError: If they do not.
        """


_CLASSIFICATION = "visionkit.heads.classification"
_DENSE = "visionkit.heads.dense"
_SEGMENTATION = "visionkit.heads.segmentation"
_TWO_STAGE = "visionkit.heads.two_stage"

HEADS: Registry[HeadSpec] = Registry(
    "head",
    {
        "auto": Row(f"{_CLASSIFICATION}.spec:AutoSpec", f"{_CLASSIFICATION}.head:ClassificationHead"),
        "conv": Row(f"{_CLASSIFICATION}.spec:ConvSpec", f"{_CLASSIFICATION}.head:ClassificationHead"),
        "linear": Row(f"{_CLASSIFICATION}.spec:LinearSpec", f"{_CLASSIFICATION}.head:ClassificationHead"),
        "mlp": Row(f"{_CLASSIFICATION}.spec:MlpSpec", f"{_CLASSIFICATION}.head:ClassificationHead"),
        "multilabel": Row(f"{_CLASSIFICATION}.spec:MultilabelSpec", f"{_CLASSIFICATION}.head:MultilabelHead"),
        "multilabel_linear": Row(
            f"{_CLASSIFICATION}.spec:MultilabelLinearSpec", f"{_CLASSIFICATION}.head:MultilabelHead"
        ),
        "fcos": Row(f"{_DENSE}.spec:FcosSpec", f"{_DENSE}.fcos:FcosHead"),
        "retinanet": Row(f"{_DENSE}.spec:RetinaNetSpec", f"{_DENSE}.retinanet:RetinaNetHead"),
        "faster_rcnn": Row(f"{_TWO_STAGE}.spec:FasterRcnnSpec", f"{_TWO_STAGE}.faster_rcnn:FasterRcnnHead"),
        "mask_rcnn": Row(f"{_TWO_STAGE}.spec:MaskRcnnSpec", f"{_TWO_STAGE}.mask_rcnn:MaskRcnnHead"),
        "deeplabv3": Row(f"{_SEGMENTATION}.decoders:DeepLabV3Spec", f"{_SEGMENTATION}.head:SegmentationHead"),
        "deeplabv3plus": Row(f"{_SEGMENTATION}.decoders:DeepLabV3PlusSpec", f"{_SEGMENTATION}.head:SegmentationHead"),
        "fcn": Row(f"{_SEGMENTATION}.decoders:FcnSpec", f"{_SEGMENTATION}.head:SegmentationHead"),
        "fpn": Row(f"{_SEGMENTATION}.decoders:PanopticFpnSpec", f"{_SEGMENTATION}.head:SegmentationHead"),
        "unet": Row(f"{_SEGMENTATION}.decoders:UnetSpec", f"{_SEGMENTATION}.head:SegmentationHead"),
    },
)
head = HEADS.register
"""Decorator that registers a `HeadSpec` under ``head=NAME``: ``@head("mine", module="my_package.my_file:MyHead")``."""


def read_head(values: str | Mapping[str, Any] | None, *, task: str) -> HeadSpec:
    """Read a head as the command line does, with the values of its file.

    Args:
        values: The name of a file in ``conf/head``, or a mapping with ``type``, such a name, and keys that differ from
            the file's; None takes the head that ``conf/task/TASK.yaml`` chooses.
        task: The task of the head.

    Raises:
        UserError: As `parse_head`; also if there is no such task.
    """
    if not values:
        _check_task(task)
        values = task_choices(task)["head"]
    return parse_head(complete("head", values, HEADS), task=task)


def parse_head(values: Mapping[str, Any], *, task: str) -> HeadSpec:
    """Validate a head's configuration.

    Args:
        values: A mapping with ``type`` and all keys of the head.
        task: The task of the head.

    Raises:
        UserError: If there is no such head, a key is unknown, missing or wrong, it is for another task, or it names no
            module.
    """
    spec = parse_typed(HEADS, values, where="head")
    HEADS.check_module(type(spec))
    if not hasattr(spec, "task"):
        raise UserError(
            f"head '{HEADS.name_of(type(spec))}' does not say which task it is for. Expected in its class: "
            'task: ClassVar[str] = "classify"'
        )
    if spec.task != task:
        fitting = ", ".join(name for name in head_names() if _task_of(name) == task)
        if not fitting:
            _check_task(task)
        name = HEADS.name_of(type(spec))
        raise UserError(
            f"head '{name}' serves task '{spec.task}', not '{task}'. "
            f"Heads for '{task}': {fitting or 'none yet'}. With this head: task={spec.task} head={name}"
        )
    return spec


def head_names() -> list[str]:
    """The names of all heads: those of the files in ``conf/head``, and those that plugins have registered."""
    return sorted({*group_names("head"), *HEADS.names()})


def _task_of(name: str) -> str:
    values = read_group_file("head", name) if name in group_names("head") else {"type": name}
    return HEADS.get(values["type"]).task


def _check_task(task: str) -> None:
    tasks = group_names("task")
    if task not in tasks:
        raise UserError(f"no task is called '{task}'.{did_you_mean(task, tasks)} Known: {', '.join(tasks)}.")
