"""Specifications of semantic segmentation heads, validated, traced and counted without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field

from visionkit.backbones import BackboneSpec, FeatureInfo
from visionkit.blocks import AdaptivePool, Conv2d, LayerRecord, Node, Sequential
from visionkit.blocks.registry import Count, Fraction
from visionkit.heads.segmentation.parts import DecoderPart, trace_parts
from visionkit.heads.segmentation.spec import HIDDEN_INIT, SegmentationSpec, output_layer, with_dropout
from visionkit.necks import NeckField

__all__ = ["DeepLabV3Spec", "DeepLabV3PlusSpec", "FcnSpec", "PanopticFpnSpec", "UnetSpec"]


@dataclass(frozen=True, kw_only=True)
class FcnSpec(SegmentationSpec):
    """One convolution on the last map (Long et al. 2015, arXiv:1411.4038) of a dilated backbone, as in torchvision.

    Attributes:
        channels: Output channels of the convolution; None for a quarter of the map's.
        dropout: Probability of dropout after it.
    """

    channels: Count | None
    dropout: Fraction

    def torchvision_model(self, backbone: BackboneSpec) -> str | None:
        model = self._dilated_resnet(backbone)
        is_default = self.channels in (None, list(backbone.feature_info.values())[-1].channels // 4)
        return f"fcn_{model}" if model and is_default else None

    def decoder(self, maps: Mapping[str, FeatureInfo], *, num_classes: int) -> dict[str, DecoderPart]:
        last = list(maps.values())[-1]
        hidden = with_dropout(self.conv(self.channels or max(last.channels // 4, 1), 3), self.dropout)
        return {
            "hidden": DecoderPart(sources=(last.name,), stride=last.stride, node=hidden),
            "logits": DecoderPart(sources=("hidden",), stride=last.stride, node=output_layer(num_classes)),
        }


@dataclass(frozen=True, kw_only=True)
class _PyramidPoolingSpec(SegmentationSpec):
    """Atrous spatial pyramid pooling (ASPP) on the last map (Chen et al. 2017, arXiv:1706.05587, section 3.3)."""

    channels: Count
    rates: Annotated[tuple[Count, ...], Field(min_length=1)]
    dropout: Fraction

    def pyramid_pooling(self, last: FeatureInfo, *, separable: bool) -> dict[str, DecoderPart]:
        """The parts of ASPP: ``scale0``, ``scale1``, ..., ``image`` and their projection ``project``."""
        nodes: dict[str, Node] = {"scale0": self.conv(self.channels, 1)}
        for i, rate in enumerate(self.rates, start=1):
            conv = self.conv(self.channels, 3, dilation=rate)
            nodes[f"scale{i}"] = self.separable(last.channels, dilation=rate) if separable else conv
        nodes["image"] = Sequential({"pool": AdaptivePool(size=1), "conv": self.conv(self.channels, 1)})
        parts = {name: DecoderPart(sources=(last.name,), stride=last.stride, node=node) for name, node in nodes.items()}
        project = with_dropout(self.conv(self.channels, 1), self.dropout)
        return {**parts, "project": DecoderPart(sources=tuple(nodes), stride=last.stride, node=project)}

    def separable(self, in_channels: int, *, dilation: int = 1) -> Node:
        """A depthwise 3x3 convolution, and a pointwise one with norm and ReLU."""
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
    """DeepLabv3 (Chen et al. 2017, arXiv:1706.05587, section 3.3): ASPP and one convolution.

    Attributes:
        channels: Output channels of every convolution.
        rates: Dilations of the parallel 3x3 convolutions; the paper's for an output stride of 8 are 12, 24 and 36.
        dropout: Probability of dropout after the projection.
    """

    def torchvision_model(self, backbone: BackboneSpec) -> str | None:
        model = self._dilated_resnet(backbone)
        is_default = (self.channels, self.rates) == (256, (12, 24, 36))
        return f"deeplabv3_{model}" if model and is_default else None

    def decoder(self, maps: Mapping[str, FeatureInfo], *, num_classes: int) -> dict[str, DecoderPart]:
        last = list(maps.values())[-1]
        return {
            **self.pyramid_pooling(last, separable=False),
            "hidden": DecoderPart(sources=("project",), stride=last.stride, node=self.conv(self.channels, 3)),
            "logits": DecoderPart(sources=("hidden",), stride=last.stride, node=output_layer(num_classes)),
        }


@dataclass(frozen=True, kw_only=True)
class DeepLabV3PlusSpec(_PyramidPoolingSpec):
    """DeepLabv3+ (Chen et al. 2018, arXiv:1802.02611, section 3.1): ASPP refined by a map of stride 4.

    Unlike the paper, one of the two 3x3 convolutions that refine it runs before upsampling, at a sixteenth of the cost.

    Attributes:
        channels: Output channels of every convolution but that on the map of stride 4.
        detail_channels: Channels that the map of stride 4 is reduced to.
        rates: Dilations of the parallel 3x3 convolutions; the paper's for an output stride of 16 are 6, 12 and 18.
        dropout: Probability of dropout after the projection.
    """

    detail_channels: Count

    def decoder(self, maps: Mapping[str, FeatureInfo], *, num_classes: int) -> dict[str, DecoderPart]:
        last = list(maps.values())[-1]
        parts = {
            **self.pyramid_pooling(last, separable=True),
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
    """U-Net (Ronneberger et al. 2015, arXiv:1505.04597): upsampling with skip connections from the coarsest stage on.

    The last stage of each stride is a skip connection. Below the backbone's finest stride, steps have none.

    Attributes:
        channels: Output channels of the steps, the last at the image's size. Backbones with fewer steps use the last of
            these, those with more repeat the first.
    """

    channels: Annotated[tuple[Count, ...], Field(min_length=1)]

    def decoder(self, maps: Mapping[str, FeatureInfo], *, num_classes: int) -> dict[str, DecoderPart]:
        skips = {info.stride: info.name for info in maps.values()}
        coarsest, *finer = sorted(skips, reverse=True)
        stride = min(skips)
        while stride > 1:
            stride //= 2
            finer.append(stride)
        widths = (self.channels[:1] * len(finer) + self.channels)[-len(finer) :] if finer else ()
        parts: dict[str, DecoderPart] = {}
        previous = skips[coarsest]
        for stride, width in zip(finer, widths, strict=True):
            sources = (previous, skips[stride]) if stride in skips else (previous,)
            previous = f"up{stride}"
            node = Sequential({"conv1": self.conv(width, 3), "conv2": self.conv(width, 3)})
            parts[previous] = DecoderPart(sources=sources, stride=stride, node=node, resize="nearest")
        return {
            **parts,
            "logits": DecoderPart(sources=(previous,), stride=1, node=output_layer(num_classes, kernel_size=3)),
        }


@dataclass(frozen=True, kw_only=True)
class PanopticFpnSpec(SegmentationSpec):
    """The semantic branch of Panoptic FPN (Kirillov et al. 2019, arXiv:1901.02446, section 3.1).

    Every level is upsampled to the finest one in steps of a 3x3 convolution and a factor of 2; the levels are added.

    Attributes:
        neck: The feature pyramid, one of those registered in `visionkit.necks.NECKS`.
        channels: Output channels of the convolutions.
    """

    neck: NeckField = field()  # hides the None of heads without a neck, which would be its default
    channels: Count

    def maps(self, backbone: BackboneSpec) -> dict[str, FeatureInfo]:
        return self.neck.feature_info(backbone)

    def out_features(self, backbone: BackboneSpec) -> list[str]:
        return self.neck.stage_names(backbone)

    def trace(self, backbone: BackboneSpec, *, num_classes: int, image_size: tuple[int, int]) -> list[LayerRecord]:
        """The neck's records, then those of the decoder's parts."""
        self.neck.stage_names(backbone)  # an error in words where there are none
        records = self.neck.trace(backbone, image_size=image_size)
        parts = self.parts(backbone, num_classes=num_classes)
        return records + trace_parts(parts, self.neck.levels(records), image_size)

    def decoder(self, maps: Mapping[str, FeatureInfo], *, num_classes: int) -> dict[str, DecoderPart]:
        strides = [info.stride for info in maps.values()]
        parts: dict[str, DecoderPart] = {}
        outputs = []
        for i, level in enumerate(maps.values()):
            source = level.name
            for stride in [strides[0]] if i == 0 else strides[i:0:-1]:
                name = f"from{level.stride}_at{stride}"
                parts[name] = DecoderPart(sources=(source,), stride=stride, node=self.conv(self.channels, 3))
                source = name
            outputs.append(source)
        logits = DecoderPart(sources=tuple(outputs), stride=strides[0], node=output_layer(num_classes), join="sum")
        return {**parts, "logits": logits}
