"""What a head is, as it is written: checked and counted without torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from visionkit.backbones import BackboneSpec
from visionkit.blocks import LayerRecord
from visionkit.errors import UserError, did_you_mean
from visionkit.registry import Registry, Row
from visionkit.schema import parse_typed

if TYPE_CHECKING:
    from visionkit.necks import FPNSpec

__all__ = ["HEADS", "HeadSpec", "default_head", "head", "parse_head"]


class HeadSpec(ABC):
    """A frozen dataclass whose fields are the keys of ``conf/head/NAME.yaml``; a neck that it stands on is one of them.

    One description, `trace`, serves counting and building: each part is an opened tree and the shape before it.
    The row of `HEADS` says which module it describes; `visionkit.heads.build.build_head` makes one.
    """

    task: ClassVar[str]
    """The task this head serves."""

    neck: FPNSpec | None = None
    """What stands between the backbone and the head; None where the head stands on the backbone itself."""

    @abstractmethod
    def trace(self, backbone: BackboneSpec, *, num_classes: int, image_size: tuple[int, int]) -> list[LayerRecord]:
        """What each part behind the backbone does to an image, the neck's parts first.

        Raises:
            UserError: If the image is too small for the backbone.
        """

    @abstractmethod
    def arguments(self, backbone: BackboneSpec, *, num_classes: int, image_size: tuple[int, int]) -> dict[str, Any]:
        """What the module is made of, its layers freshly initialised: sized by what backbone or neck declares.

        Raises:
            UserError: As `check` and `trace`.
        """

    def adapt_backbone(self, backbone: BackboneSpec) -> BackboneSpec:
        """The backbone as this head wants it where the backbone's own keys leave it open, such as its output stride.

        Raises:
            UserError: If the backbone cannot be so.
        """
        return backbone

    def out_features(self, backbone: BackboneSpec) -> list[str]:
        """The backbone's stages whose maps are used, fine to coarse."""
        return list(backbone.stages)

    def torchvision_model(self, backbone: BackboneSpec) -> str | None:
        """Torchvision's name of the same model, of which it has weights trained on COCO; None where it has none."""
        return None

    def check(self, *, num_classes: int) -> None:  # noqa: B027 - most heads take any number of classes
        """Look whether the head's own keys fit so many classes.

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
"""Decorate a `HeadSpec` so that ``head=NAME`` makes one: ``@head("mine", module="my_package.my_file:MyHead")``."""


_DEFAULTS = {"classify": "auto", "detect": "fcos", "segment": "unet", "instance": "mask_rcnn"}


def default_head(task: str) -> str:
    """The head of a task where none is named."""
    return _DEFAULTS.get(task, "auto")


def parse_head(values: str | Mapping[str, Any], *, task: str) -> HeadSpec:
    """Read a head's configuration.

    Args:
        values: A name, or a mapping with ``type`` and the head's own keys.
        task: The task it is to serve.

    Raises:
        UserError: If there is no such head, a key is unknown or wrong, or it serves another task.
    """
    spec = parse_typed(HEADS, values, where="head")
    if spec.task != task:
        tasks = sorted({HEADS.get(name).task for name in HEADS.names()})
        if task not in tasks:
            raise UserError(f"no task is called '{task}'.{did_you_mean(task, tasks)} Known: {', '.join(tasks)}.")
        fitting = ", ".join(name for name in HEADS.names() if HEADS.get(name).task == task) or "none yet"
        raise UserError(
            f"head '{HEADS.name_of(type(spec))}' serves task '{spec.task}', not '{task}'. "
            f"Heads for '{task}': {fitting}."
        )
    return spec
