"""What a head is, as it is written: checked and counted without torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from visionkit.backbones import BackboneSpec
from visionkit.blocks import Record
from visionkit.errors import UserError, did_you_mean
from visionkit.registry import Registry
from visionkit.schema import parse_typed

if TYPE_CHECKING:
    from visionkit.heads.base import Head
    from visionkit.necks.fpn import Neck

__all__ = ["HEADS", "HeadSpec", "default_head", "head", "parse_head"]


class HeadSpec(ABC):
    """A frozen dataclass whose fields are the keys of ``conf/head/NAME.yaml``; a neck that it stands on is one of them.

    One description, `trace`, serves counting and building: each part is an opened tree and the signal before it.
    """

    task: ClassVar[str]
    """The task this head serves."""

    @abstractmethod
    def trace(self, backbone: BackboneSpec, *, num_classes: int, image_size: tuple[int, int]) -> list[Record]:
        """What each part behind the backbone does to an image, the neck's parts first.

        Raises:
            UserError: If the image is too small for the backbone.
        """

    @abstractmethod
    def build(self, backbone: BackboneSpec, *, num_classes: int, image_size: tuple[int, int]) -> Head:
        """The torch module, sized from what the backbone or the neck declares.

        Raises:
            UserError: As `check` and `trace`.
        """

    def build_neck(self, backbone: BackboneSpec, *, image_size: tuple[int, int]) -> Neck | None:
        """The neck between backbone and head, or None where the head stands on the backbone itself.

        Raises:
            UserError: If the image is too small for the backbone.
        """
        return None

    def settle(self, backbone: BackboneSpec) -> BackboneSpec:
        """The backbone as this head wants it where the backbone's own keys leave it open, such as its output stride.

        Raises:
            UserError: If the backbone cannot be so.
        """
        return backbone

    def out_features(self, backbone: BackboneSpec) -> list[str]:
        """The backbone's stages whose maps are used, fine to coarse."""
        return list(backbone.stages)

    def counterpart(self, backbone: BackboneSpec) -> str | None:
        """Torchvision's name of the same model, of which it has weights trained on COCO; None where it has none."""
        return None

    def check(self, *, num_classes: int) -> None:  # noqa: B027 - most heads take any number of classes
        """Look whether the head's own keys fit so many classes.

        Raises:
            UserError: If they do not.
        """


HEADS: Registry[HeadSpec] = Registry("head")
head = HEADS.register
"""Decorate a `HeadSpec` so that ``head=NAME`` makes one."""


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
    tasks = sorted({HEADS.get(name).task for name in HEADS.names()})
    if task not in tasks:
        raise UserError(f"no task is called '{task}'.{did_you_mean(task, tasks)} Known: {', '.join(tasks)}.")
    spec = parse_typed(HEADS, values, where="head")
    if spec.task != task:
        fitting = ", ".join(name for name in HEADS.names() if HEADS.get(name).task == task) or "none yet"
        raise UserError(
            f"head '{HEADS.name_of(type(spec))}' serves task '{spec.task}', not '{task}'. "
            f"Heads for '{task}': {fitting}."
        )
    return spec
