"""What a feature pyramid is, as it is written: its levels chosen, sized and counted without torch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from pydantic import Field

from visionkit.backbones import BackboneSpec, FeatureInfo
from visionkit.blocks import (
    Activation,
    Conv,
    FeatureShape,
    Init,
    LayerRecord,
    MaxPool,
    Node,
    NormField,
    build,
    expand,
    trace,
)
from visionkit.blocks.base import Count
from visionkit.blocks.trace import Join
from visionkit.registry import Registry, Row
from visionkit.schema import STRICT

__all__ = ["NECKS", "FPNSpec"]

_INIT = Init("kaiming_uniform", a=1)


@dataclass(frozen=True, kw_only=True)
class FPNSpec:
    """A feature pyramid (Lin et al. 2017, arXiv:1612.03144, section 3) on any backbone.

    Its levels stand on the last stage of each stride from ``finest_stride`` on (on the coarsest stage alone where
    none is so coarse); levels beyond the coarsest stage are made one from the other, each of twice the stride.

    Attributes:
        out_channels: Channels of every level.
        finest_stride: The smallest stride, in pixels, of a stage that counts.
        num_levels: How many levels.
        norm: Behind the convolutions of the pyramid.
        extra: Levels beyond the last stage are made by 3x3 convolutions of stride 2 with ReLU between them
            (Lin et al. 2017, RetinaNet, arXiv:1708.02002, section 4), or by leaving out every other cell.
        extra_from: The first of them is made from the coarsest level or from the last stage's own map.
    """

    __pydantic_config__ = STRICT

    out_channels: Count = 256
    finest_stride: Count = 8
    num_levels: Annotated[int, Field(ge=1, le=8)] = 5
    norm: NormField = None
    extra: Literal["conv", "max_pool"] = "conv"
    extra_from: Literal["level", "stage"] = "level"

    def __post_init__(self) -> None:
        if self.extra == "max_pool" and self.extra_from == "stage":
            raise ValueError("extra 'max_pool' keeps the channels, so it goes with extra_from 'level'")

    def stages(self, backbone: BackboneSpec) -> dict[str, FeatureInfo]:
        """Level names to the backbone's stages they stand on, fine to coarse."""
        infos = backbone.feature_info.values()
        finest = min(self.finest_stride, max(info.stride for info in infos))
        last_of = {info.stride: info for info in infos if info.stride >= finest}
        return {_name(stride): last_of[stride] for stride in sorted(last_of)[: self.num_levels]}

    def feature_info(self, backbone: BackboneSpec) -> dict[str, FeatureInfo]:
        """What each level gives, fine to coarse; known before any forward pass."""
        levels = {
            name: FeatureInfo(name, self.out_channels, stage.stride, stage.offset)
            for name, stage in self.stages(backbone).items()
        }
        while len(levels) < self.num_levels:
            last = list(levels.values())[-1]
            name = _name(2 * last.stride)
            levels[name] = replace(last, name=name, stride=2 * last.stride)
        return levels

    def trace(self, backbone: BackboneSpec, *, image_size: tuple[int, int]) -> list[LayerRecord]:
        """What each part does: ``neck.lateral.LEVEL``, ``neck.output.LEVEL`` and ``neck.extra.LEVEL``, fine to coarse.

        Raises:
            UserError: If the image is too small for the backbone.
        """
        stages, signals = self.stages(backbone), backbone.features(image_size)
        lateral = {
            level: _record("lateral", level, self._conv(1), signals[stage.name]) for level, stage in stages.items()
        }
        merged: dict[str, FeatureShape] = {}
        joins: dict[str, Join] = {}
        for level in reversed(lateral):
            coarser = list(merged.values())[-1:]
            joins[level] = Join((lateral[level].after, *coarser), "sum")
            merged[level] = _see_as_far(*joins[level].sources)
        output = {
            level: replace(_record("output", level, self._conv(3), merged[level]), join=joins[level])
            for level in stages
        }
        extra: dict[str, LayerRecord] = {}
        coarsest = list(stages)[-1]
        before = signals[stages[coarsest].name] if self.extra_from == "stage" else output[coarsest].after
        for level in list(self.feature_info(backbone))[len(stages) :]:
            extra[level] = _record("extra", level, self._extra(first=not extra), before)
            before = extra[level].after
        return [*lateral.values(), *output.values(), *extra.values()]

    def levels(self, records: list[LayerRecord]) -> dict[str, FeatureShape]:
        """The shape behind each level, fine to coarse, from what `trace` has seen."""
        return {record.path[-1]: record.after for record in records if record.path[1] in ("output", "extra")}

    def arguments(self, backbone: BackboneSpec, *, image_size: tuple[int, int]) -> dict[str, Any]:
        """The layers, freshly initialised, and what `visionkit.necks.fpn.FPN` takes beside them.

        Raises:
            UserError: If the image is too small for the backbone.
        """
        layers: dict[str, dict[str, Any]] = {"lateral": {}, "output": {}, "extra": {}}
        for record in self.trace(backbone, image_size=image_size):
            _, kind, level = record.path
            layers[kind][level] = build(record.node, record.before)[0]
        return {
            **layers,
            "stages": {level: stage.name for level, stage in self.stages(backbone).items()},
            "feature_info": self.feature_info(backbone),
            "extra_from": self.extra_from,
        }

    def _conv(self, kernel_size: int) -> Node:
        return Conv(out_channels=self.out_channels, kernel_size=kernel_size, padding="same", norm=self.norm, init=_INIT)

    def _extra(self, *, first: bool) -> Node:
        if self.extra == "max_pool":
            return MaxPool(kernel_size=1, stride=2)
        return Conv(
            out_channels=self.out_channels,
            kernel_size=3,
            stride=2,
            padding=1,
            activation=None if first else Activation("relu"),
            order="act_conv_norm",
            init=_INIT,
        )


NECKS: Registry[FPNSpec] = Registry("neck", {"fpn": Row("visionkit.necks.spec:FPNSpec", "visionkit.necks.fpn:FPN")})


def _name(stride: int) -> str:
    return f"stride{stride}"


def _record(kind: str, level: str, node: Node, before: FeatureShape) -> LayerRecord:
    return trace(expand(node, before)[0], before, path=("neck", kind, level))


def _see_as_far(shape: FeatureShape, *others: FeatureShape) -> FeatureShape:
    """A shape to which coarser ones are added: each cell sees what theirs see."""

    def widest(axis: str) -> int | None:
        views = [getattr(one, axis).receptive_field for one in (shape, *others)]
        return None if None in views else max(views)

    return replace(
        shape,
        height=replace(shape.height, receptive_field=widest("height")),
        width=replace(shape.width, receptive_field=widest("width")),
    )
