"""The interface of all specifications of necks: levels, shapes and counts, without torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated, Any

from visionkit.backbones import BackboneSpec, FeatureInfo
from visionkit.blocks import FeatureShape, LayerRecord
from visionkit.blocks.registry import Count
from visionkit.errors import UserError
from visionkit.registry import Registry, Row
from visionkit.schema import Registered

__all__ = ["NECKS", "NeckField", "NeckSpec", "neck"]


@dataclass(frozen=True, kw_only=True)
class NeckSpec(ABC):
    """A frozen dataclass whose fields are the keys of ``head.neck``; its levels are numbered by their strides.

    Attributes:
        out_channels: Channels of every level.
    """

    out_channels: Count

    @abstractmethod
    def stages(self, backbone: BackboneSpec) -> dict[str, FeatureInfo]:
        """Level names to the backbone's stages that they are made from, fine to coarse."""

    def stage_names(self, backbone: BackboneSpec) -> list[str]:
        """The names of the backbone's stages that levels are made from, fine to coarse.

        Raises:
            UserError: If there are none.
        """
        names = [stage.name for stage in self.stages(backbone).values()]
        if not names:
            strides = ", ".join(f"{info.name} {info.stride}" for info in backbone.feature_info.values())
            raise UserError(
                f"head.neck: it makes no level of {backbone.name}, whose stages have the strides {strides}. "
                "Expected one stage at least."
            )
        return names

    @abstractmethod
    def feature_info(self, backbone: BackboneSpec) -> dict[str, FeatureInfo]:
        """Level names to the description of their maps, fine to coarse."""

    @abstractmethod
    def trace(self, backbone: BackboneSpec, *, image_size: tuple[int, int]) -> list[LayerRecord]:
        """The records of all layers for one image; their paths begin with ``neck``.

        Raises:
            UserError: If the image is too small for the backbone.
        """

    @abstractmethod
    def levels(self, records: list[LayerRecord]) -> dict[str, FeatureShape]:
        """Level names to shapes, fine to coarse, from the records of `trace`."""

    @abstractmethod
    def arguments(self, backbone: BackboneSpec, *, image_size: tuple[int, int]) -> dict[str, Any]:
        """The arguments of the neck's module, a `visionkit.necks.base.Neck`, with freshly initialised layers.

        Raises:
            UserError: As `trace`.
        """


NECKS: Registry[NeckSpec] = Registry(
    "neck", {"fpn": Row("visionkit.necks.fpn_spec:FPNSpec", "visionkit.necks.fpn:FPN")}, base=NeckSpec
)
neck = NECKS.register
"""Decorator that registers a `NeckSpec` under ``head.neck.type=NAME``: ``@neck("mine", module="my_file:MyNeck")``."""

NeckField = Annotated[NeckSpec, Registered(NECKS)]
"""``{type: fpn, ...}`` with all keys of the neck."""
