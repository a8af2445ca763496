"""Specification of the feature pyramid: its levels, shapes and counts, without torch."""

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
from visionkit.blocks.registry import Count
from visionkit.blocks.trace import Join
from visionkit.necks.spec import NeckSpec

__all__ = ["FPNSpec"]

_INIT = Init("kaiming_uniform", a=1)


@dataclass(frozen=True, kw_only=True)
class FPNSpec(NeckSpec):
    """A feature pyramid (Lin et al. 2017, arXiv:1612.03144, section 3) on any backbone.

    There is a level for the last stage of each stride of at least ``finest_stride`` (or for the coarsest stage
    alone, if all are finer); each extra level has twice the stride of the level before.

    Attributes:
        finest_stride: The smallest stride, in pixels, of a stage with a level.
        num_levels: Number of levels.
        norm: The norm after the convolutions of the pyramid.
        extra: Extra levels are made by 3x3 convolutions of stride 2 with ReLU between them (Lin et al. 2017,
            RetinaNet, arXiv:1708.02002, section 4), or by max pooling with a 1x1 kernel and stride 2.
        extra_from: The first extra level is made from the coarsest level or from the coarsest stage.
    """

    finest_stride: Count
    num_levels: Annotated[int, Field(ge=1, le=8)]
    norm: NormField
    extra: Literal["conv", "max_pool"]
    extra_from: Literal["level", "stage"]

    def __post_init__(self) -> None:
        if self.extra == "max_pool" and self.extra_from == "stage":
            raise ValueError("extra 'max_pool' keeps the channels, so it goes with extra_from 'level'")

    def stages(self, backbone: BackboneSpec) -> dict[str, FeatureInfo]:
        infos = backbone.feature_info.values()
        finest = min(self.finest_stride, max(info.stride for info in infos))
        last_of = {info.stride: info for info in infos if info.stride >= finest}
        return {_level_name(stride): last_of[stride] for stride in sorted(last_of)[: self.num_levels]}

    def feature_info(self, backbone: BackboneSpec) -> dict[str, FeatureInfo]:
        levels = {
            name: FeatureInfo(name, self.out_channels, stage.stride, stage.offset)
            for name, stage in self.stages(backbone).items()
        }
        while len(levels) < self.num_levels:
            last = list(levels.values())[-1]
            name = _level_name(2 * last.stride)
            levels[name] = replace(last, name=name, stride=2 * last.stride)
        return levels

    def trace(self, backbone: BackboneSpec, *, image_size: tuple[int, int]) -> list[LayerRecord]:
        """Records of ``neck.lateral.LEVEL``, ``neck.output.LEVEL`` and ``neck.extra.LEVEL``, each fine to coarse.

        Raises:
            UserError: If the image is too small for the backbone.
        """
        stages, stage_shapes = self.stages(backbone), backbone.feature_shapes(image_size)
        lateral = {
            level: _trace_level("lateral", level, self._conv(1), stage_shapes[stage.name])
            for level, stage in stages.items()
        }
        merged: dict[str, FeatureShape] = {}
        joins: dict[str, Join] = {}
        for level in reversed(lateral):
            coarser = list(merged.values())[-1:]
            joins[level] = Join((lateral[level].after, *coarser), "sum")
            merged[level] = _with_widest_receptive_field(*joins[level].sources)
        output = {
            level: replace(_trace_level("output", level, self._conv(3), merged[level]), join=joins[level])
            for level in stages
        }
        extra: dict[str, LayerRecord] = {}
        coarsest = list(stages)[-1]
        before = stage_shapes[stages[coarsest].name] if self.extra_from == "stage" else output[coarsest].after
        for level in list(self.feature_info(backbone))[len(stages) :]:
            extra[level] = _trace_level("extra", level, self._extra_layer(first=not extra), before)
            before = extra[level].after
        return [*lateral.values(), *output.values(), *extra.values()]

    def levels(self, records: list[LayerRecord]) -> dict[str, FeatureShape]:
        return {record.path[-1]: record.after for record in records if record.path[1] in ("output", "extra")}

    def arguments(self, backbone: BackboneSpec, *, image_size: tuple[int, int]) -> dict[str, Any]:
        """The arguments of `visionkit.necks.fpn.FPN`, with freshly initialised layers.

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

    def _extra_layer(self, *, first: bool) -> Node:
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


def _level_name(stride: int) -> str:
    return f"stride{stride}"


def _trace_level(kind: str, level: str, node: Node, before: FeatureShape) -> LayerRecord:
    return trace(expand(node, before)[0], before, path=("neck", kind, level))


def _with_widest_receptive_field(shape: FeatureShape, *others: FeatureShape) -> FeatureShape:
    """``shape`` with the largest receptive field of all the maps that are added."""

    def widest(axis: str) -> int | None:
        receptive_fields = [getattr(source, axis).receptive_field for source in (shape, *others)]
        return None if None in receptive_fields else max(receptive_fields)

    return replace(
        shape,
        height=replace(shape.height, receptive_field=widest("height")),
        width=replace(shape.width, receptive_field=widest("width")),
    )
