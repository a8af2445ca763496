"""Heads that give each pixel a class: what they are, checked and counted without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from visionkit.backbones import BackboneSpec, FeatureInfo
from visionkit.blocks import AdaptivePool, Conv2d, GroupNorm, LayerRecord, Node, NormField, Sequential
from visionkit.blocks.base import Count, Fraction
from visionkit.heads.segmentation.parts import DecoderPart, trace_parts
from visionkit.heads.segmentation.spec import HIDDEN_INIT, OutputStride, SegmentationSpec, output_layer, with_dropout
from visionkit.necks import FPNSpec

__all__ = ["DeepLabV3Spec", "DeepLabV3PlusSpec", "FcnSpec", "PanopticFpnSpec", "UnetSpec"]


@dataclass(frozen=True, kw_only=True)
class FcnSpec(SegmentationSpec):
    """One convolution on the last map (Long et al. 2015, arXiv:1411.4038), dilated as in torchvision.

    Attributes:
        channels: Of the convolution; a quarter of the map's unless given.
        dropout: Behind it.
    """

    output_stride: OutputStride | None = 8
    channels: Count | None = None
    dropout: Fraction = 0.1

    def torchvision_model(self, backbone: BackboneSpec) -> str | None:
        model = self._dilated_resnet(backbone)
        usual = self.channels in (None, list(backbone.feature_info.values())[-1].channels // 4)
        return f"fcn_{model}" if model and usual else None

    def decoder(self, maps: Mapping[str, FeatureInfo], *, num_classes: int) -> dict[str, DecoderPart]:
        last = list(maps.values())[-1]
        hidden = with_dropout(self.conv(self.channels or max(last.channels // 4, 1), 3), self.dropout)
        return {
            "hidden": DecoderPart(sources=(last.name,), stride=last.stride, node=hidden),
            "logits": DecoderPart(sources=("hidden",), stride=last.stride, node=output_layer(num_classes)),
        }


@dataclass(frozen=True, kw_only=True)
class _PyramidPoolingSpec(SegmentationSpec):
    """Atrous spatial pyramid pooling: the last map seen at several scales (Chen et al. 2017, arXiv:1706.05587)."""

    channels: Count = 256
    rates: Annotated[tuple[Count, ...], Field(min_length=1)] = (12, 24, 36)
    dropout: Fraction = 0.5

    def pooled(self, last: FeatureInfo, *, separable: bool) -> dict[str, DecoderPart]:
        """The parts up to ``project``."""
        nodes: dict[str, Node] = {"scale0": self.conv(self.channels, 1)}
        for i, rate in enumerate(self.rates, start=1):
            plain = self.conv(self.channels, 3, dilation=rate)
            nodes[f"scale{i}"] = self.separable(last.channels, dilation=rate) if separable else plain
        nodes["image"] = Sequential({"pool": AdaptivePool(size=1), "conv": self.conv(self.channels, 1)})
        parts = {name: DecoderPart(sources=(last.name,), stride=last.stride, node=node) for name, node in nodes.items()}
        project = with_dropout(self.conv(self.channels, 1), self.dropout)
        return {**parts, "project": DecoderPart(sources=tuple(nodes), stride=last.stride, node=project)}

    def separable(self, in_channels: int, *, dilation: int = 1) -> Node:
        """A 3x3 convolution of each channel alone, and a 1x1 one with norm and ReLU."""
        depthwise = Conv2d(
            out_channels=in_channels,
            kernel_size=(3, 3),
            padding=(dilation, dilation),
            dilation=(dilation, dilation),
            groups=in_channels,
            bias=False,
            init=HIDDEN_INIT,
        )
        return Sequential({"depthwise": depthwise, "pointwise": self.conv(self.channels, 1)})


@dataclass(frozen=True, kw_only=True)
class DeepLabV3Spec(_PyramidPoolingSpec):
    """DeepLabv3 (Chen et al. 2017, arXiv:1706.05587, section 3.3): the last map seen at several scales.

    Attributes:
        channels: Of every convolution.
        rates: Dilations of the 3x3 convolutions beside each other; the paper's for an output stride of 8.
        dropout: Behind their projection.
    """

    output_stride: OutputStride | None = 8

    def torchvision_model(self, backbone: BackboneSpec) -> str | None:
        model = self._dilated_resnet(backbone)
        usual = (self.channels, self.rates) == (256, (12, 24, 36))
        return f"deeplabv3_{model}" if model and usual else None

    def decoder(self, maps: Mapping[str, FeatureInfo], *, num_classes: int) -> dict[str, DecoderPart]:
        last = list(maps.values())[-1]
        return {
            **self.pooled(last, separable=False),
            "hidden": DecoderPart(sources=("project",), stride=last.stride, node=self.conv(self.channels, 3)),
            "logits": DecoderPart(sources=("hidden",), stride=last.stride, node=output_layer(num_classes)),
        }


@dataclass(frozen=True, kw_only=True)
class DeepLabV3PlusSpec(_PyramidPoolingSpec):
    """DeepLabv3+ (Chen et al. 2018, arXiv:1802.02611, section 3.1): DeepLabv3's map refined by one of stride 4.

    Of the two 3x3 convolutions that refine it, one stands before the map is enlarged, where it costs a sixteenth.

    Attributes:
        channels: Of every convolution but the detail's.
        detail_channels: What the map of stride 4 is reduced to.
        rates: Dilations of the 3x3 convolutions beside each other; the paper's for an output stride of 16.
        dropout: Behind their projection.
    """

    output_stride: OutputStride | None = 16
    rates: Annotated[tuple[Count, ...], Field(min_length=1)] = (6, 12, 18)
    detail_channels: Count = 48

    def decoder(self, maps: Mapping[str, FeatureInfo], *, num_classes: int) -> dict[str, DecoderPart]:
        last = list(maps.values())[-1]
        parts = {
            **self.pooled(last, separable=True),
            "hidden": DecoderPart(sources=("project",), stride=last.stride, node=self.separable(self.channels)),
        }
        finer = {info.stride: info for info in maps.values() if info.stride < last.stride}
        if not finer:
            return {
                **parts,
                "logits": DecoderPart(sources=("hidden",), stride=last.stride, node=output_layer(num_classes)),
            }
        stride = max((stride for stride in finer if stride <= 4), default=min(finer))
        detail = DecoderPart(sources=(finer[stride].name,), stride=stride, node=self.conv(self.detail_channels, 1))
        merged = self.separable(self.channels + self.detail_channels)
        return {
            **parts,
            "detail": detail,
            "merged": DecoderPart(sources=("hidden", "detail"), stride=stride, node=merged),
            "logits": DecoderPart(sources=("merged",), stride=stride, node=output_layer(num_classes)),
        }


@dataclass(frozen=True, kw_only=True)
class UnetSpec(SegmentationSpec):
    """U-Net (Ronneberger et al. 2015, arXiv:1505.04597): from the coarsest stage up, past each finer one, to the image.

    Of each stride the last stage is a skip. A backbone whose finest stride is above 1 is followed by steps without.

    Attributes:
        channels: Widths of the steps; the last is the image's. A backbone with fewer steps leaves the first widths out,
            one with more repeats the first.
    """

    channels: Annotated[tuple[Count, ...], Field(min_length=1)] = (256, 128, 64, 32, 16)

    def decoder(self, maps: Mapping[str, FeatureInfo], *, num_classes: int) -> dict[str, DecoderPart]:
        skips = {info.stride: info.name for info in maps.values()}
        coarsest, *finer = sorted(skips, reverse=True)
        stride = min(skips)
        while stride > 1:
            stride //= 2
            finer.append(stride)
        widths = (self.channels[:1] * len(finer) + self.channels)[-len(finer) :] if finer else ()
        parts: dict[str, DecoderPart] = {}
        below = skips[coarsest]
        for stride, width in zip(finer, widths, strict=True):
            sources = (below, skips[stride]) if stride in skips else (below,)
            below = f"up{stride}"
            node = Sequential({"conv1": self.conv(width, 3), "conv2": self.conv(width, 3)})
            parts[below] = DecoderPart(sources=sources, stride=stride, node=node, resize="nearest")
        return {
            **parts,
            "logits": DecoderPart(sources=(below,), stride=1, node=output_layer(num_classes, kernel_size=3)),
        }


@dataclass(frozen=True, kw_only=True)
class PanopticFpnSpec(SegmentationSpec):
    """The semantic branch of Panoptic FPN (Kirillov et al. 2019, arXiv:1901.02446, section 3.1).

    Every level is brought to the finest one in steps of a 3x3 convolution and a doubling; the levels are then added.

    Attributes:
        neck: The pyramid.
        channels: Of the convolutions.
    """

    norm: NormField = GroupNorm()
    neck: FPNSpec = FPNSpec(finest_stride=4, num_levels=4)
    channels: Count = 128

    def maps(self, backbone: BackboneSpec) -> dict[str, FeatureInfo]:
        return self.neck.feature_info(backbone)

    def out_features(self, backbone: BackboneSpec) -> list[str]:
        return [stage.name for stage in self.neck.stages(backbone).values()]

    def trace(self, backbone: BackboneSpec, *, num_classes: int, image_size: tuple[int, int]) -> list[LayerRecord]:
        """The neck's parts, then the decoder's."""
        records = self.neck.trace(backbone, image_size=image_size)
        parts = self.parts(backbone, num_classes=num_classes)
        return records + trace_parts(parts, self.neck.levels(records), image_size)

    def decoder(self, maps: Mapping[str, FeatureInfo], *, num_classes: int) -> dict[str, DecoderPart]:
        strides = [info.stride for info in maps.values()]
        parts: dict[str, DecoderPart] = {}
        ends = []
        for i, level in enumerate(maps.values()):
            source = level.name
            for stride in [strides[0]] if i == 0 else strides[i:0:-1]:
                name = f"from{level.stride}_at{stride}"
                parts[name] = DecoderPart(sources=(source,), stride=stride, node=self.conv(self.channels, 3))
                source = name
            ends.append(source)
        logits = DecoderPart(sources=tuple(ends), stride=strides[0], node=output_layer(num_classes), join="sum")
        return {**parts, "logits": logits}
