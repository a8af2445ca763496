"""Heads that give each pixel a class: what they are, checked and counted without torch."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from visionkit.backbones import BackboneSpec, FeatureInfo
from visionkit.blocks import (
    Activation,
    AdaptivePool,
    BatchNorm,
    Conv,
    Conv2d,
    Dropout,
    GroupNorm,
    Init,
    Node,
    NormField,
    Record,
    Sequence,
    build,
)
from visionkit.blocks.base import Count, Fraction
from visionkit.errors import UserError
from visionkit.heads.parts import Part, trace_parts
from visionkit.heads.spec import HeadSpec, head
from visionkit.necks import FPN
from visionkit.schema import STRICT

if TYPE_CHECKING:
    from visionkit.heads.base import Head
    from visionkit.necks.fpn import FeaturePyramid

__all__ = [
    "Auxiliary",
    "DeepLabV3Head",
    "DeepLabV3PlusHead",
    "FcnHead",
    "LossTerms",
    "PanopticFpnHead",
    "SegmentationHead",
    "UnetHead",
]

MOST_CLASSES = 255
"""Masks keep a class id in a byte, of which 255 stands for pixels that do not count."""

Factor = Annotated[float, Field(ge=0)]
OutputStride = Literal[8, 16, 32]

_INIT = Init("kaiming_uniform", mode="fan_in", nonlinearity="relu")
_RELU = Activation("relu")


@dataclass(frozen=True, kw_only=True)
class LossTerms:
    """How much each loss counts; their weighted sum is minimised.

    Attributes:
        cross_entropy: Mean over the pixels.
        dice: Soft Dice, which weighs classes alike (Milletari et al. 2016, arXiv:1606.04797, section 3).
        focal: Cross-entropy with easy pixels weighted down (Lin et al. 2017, arXiv:1708.02002, section 3.2).
    """

    __pydantic_config__ = STRICT

    cross_entropy: Factor = 0.0
    dice: Factor = 0.0
    focal: Factor = 0.0

    def __post_init__(self) -> None:
        if not any(vars(self).values()):
            known = ", ".join(field.name for field in fields(self))
            raise ValueError(f"all factors are 0, so there is nothing to minimise. Expected one above 0 of: {known}")


@dataclass(frozen=True, kw_only=True)
class Auxiliary:
    """A second, small head on the last map but one, for training (Zhao et al. 2017, arXiv:1612.01105, section 3.3).

    Attributes:
        weight: What its loss is multiplied by.
    """

    __pydantic_config__ = STRICT

    weight: Annotated[float, Field(gt=0)] = 0.4


@dataclass(frozen=True, kw_only=True)
class SegmentationHead(HeadSpec):
    """A decoder: named parts that join maps and give, at the end, ``logits`` for each pixel.

    Attributes:
        norm: Behind the convolutions.
        output_stride: What the backbone's last stages are held at, where the backbone does not say so itself.
        auxiliary: A second head for training, or none.
        loss: What is minimised.
        focal_gamma: How much the focal loss weights easy pixels down.
        label_smoothing: Share of each pixel's target spread evenly over all classes, in the cross-entropy.
        class_weights: A number per class, ``balanced`` (inverse to the classes' pixels in the training data), or
            none; they count in cross-entropy and focal loss.
    """

    task: ClassVar[str] = "segment"

    norm: NormField = BatchNorm()
    output_stride: OutputStride | None = None
    auxiliary: Auxiliary | None = None
    loss: LossTerms = LossTerms(cross_entropy=1.0)
    focal_gamma: Annotated[float, Field(ge=1)] = 2.0
    label_smoothing: Fraction = 0.0
    class_weights: tuple[Factor, ...] | Literal["balanced"] | None = None

    @abstractmethod
    def decoder(self, maps: Mapping[str, FeatureInfo], *, num_classes: int) -> dict[str, Part]:
        """The parts on the given maps, fine to coarse; the last one is ``logits``."""

    def maps(self, backbone: BackboneSpec) -> dict[str, FeatureInfo]:
        """The maps the decoder may choose from, fine to coarse."""
        return backbone.feature_info

    def settle(self, backbone: BackboneSpec) -> BackboneSpec:
        if self.output_stride is None or backbone.output_stride is not None:
            return backbone
        return backbone.hold_stride(self.output_stride)

    def parts(self, backbone: BackboneSpec, *, num_classes: int) -> dict[str, Part]:
        """The decoder's parts, and those of the auxiliary head."""
        maps = self.maps(backbone)
        parts = self.decoder(maps, num_classes=num_classes)
        if self.auxiliary is not None:
            parts |= self._auxiliary(list(maps.values())[-2:][0], num_classes=num_classes)
        return parts

    def out_features(self, backbone: BackboneSpec) -> list[str]:
        used = {source for part in self.parts(backbone, num_classes=1).values() for source in part.sources}
        return [name for name in backbone.stages if name in used]

    def check(self, *, num_classes: int) -> None:
        """There are at most 255 classes, and class weights need one number per class."""
        if num_classes > MOST_CLASSES:
            raise UserError(
                f"head: found {num_classes} classes, but a mask holds at most {MOST_CLASSES}: one byte per pixel, of "
                "which 255 stands for pixels that do not count. Try a data set whose class map joins some of them."
            )
        if isinstance(self.class_weights, tuple) and len(self.class_weights) != num_classes:
            raise UserError(
                f"head.class_weights: expected one number for each of the {num_classes} classes, "
                f"found {len(self.class_weights)}."
            )
        if isinstance(self.class_weights, tuple) and not any(self.class_weights):
            raise UserError("head.class_weights: all are 0, so no pixel would count. Expected one above 0.")

    def trace(self, backbone: BackboneSpec, *, num_classes: int, image_size: tuple[int, int]) -> list[Record]:
        """What each part does to its joined maps."""
        parts = self.parts(backbone, num_classes=num_classes)
        return trace_parts(parts, backbone.features(image_size), image_size)

    def build(self, backbone: BackboneSpec, *, num_classes: int, image_size: tuple[int, int]) -> Head:
        """A `Segmenter` of these parts."""
        from visionkit.heads.semantic import Segmenter

        if self.class_weights == "balanced":
            raise UserError("head.class_weights=balanced needs a data set to count in; give the numbers themselves.")
        self.check(num_classes=num_classes)
        records = self.trace(backbone, num_classes=num_classes, image_size=image_size)
        layers = {
            record.path[1]: build(record.node, record.before)[0] for record in records if record.path[0] == "head"
        }
        return Segmenter(self, self.parts(backbone, num_classes=num_classes), layers, maps=self.maps(backbone))

    def conv(self, out_channels: int, kernel_size: int, *, dilation: int = 1) -> Conv:
        """A convolution that keeps the size, with norm and ReLU."""
        return Conv(
            out_channels=out_channels,
            kernel_size=kernel_size,
            padding="same",
            dilation=dilation,
            norm=self.norm,
            activation=_RELU,
            init=_INIT,
        )

    def _auxiliary(self, source: FeatureInfo, *, num_classes: int) -> dict[str, Part]:
        hidden = _with_dropout(self.conv(max(source.channels // 4, 1), 3), 0.1)
        parts = {
            "auxiliary_hidden": Part(sources=(source.name,), stride=source.stride, node=hidden),
            "auxiliary": Part(sources=("auxiliary_hidden",), stride=source.stride, node=output_layer(num_classes)),
        }
        return {name: replace(part, training_only=True) for name, part in parts.items()}


@head("fcn")
@dataclass(frozen=True, kw_only=True)
class FcnHead(SegmentationHead):
    """One convolution on the last map (Long et al. 2015, arXiv:1411.4038), dilated as in torchvision.

    Attributes:
        channels: Of the convolution; a quarter of the map's unless given.
        dropout: Behind it.
    """

    output_stride: OutputStride | None = 8
    channels: Count | None = None
    dropout: Fraction = 0.1

    def decoder(self, maps: Mapping[str, FeatureInfo], *, num_classes: int) -> dict[str, Part]:
        last = list(maps.values())[-1]
        hidden = _with_dropout(self.conv(self.channels or max(last.channels // 4, 1), 3), self.dropout)
        return {
            "hidden": Part(sources=(last.name,), stride=last.stride, node=hidden),
            "logits": Part(sources=("hidden",), stride=last.stride, node=output_layer(num_classes)),
        }


@dataclass(frozen=True, kw_only=True)
class _PyramidPoolingHead(SegmentationHead):
    """Atrous spatial pyramid pooling: the last map seen at several scales (Chen et al. 2017, arXiv:1706.05587)."""

    channels: Count = 256
    rates: Annotated[tuple[Count, ...], Field(min_length=1)] = (12, 24, 36)
    dropout: Fraction = 0.5

    def pooled(self, last: FeatureInfo, *, separable: bool) -> dict[str, Part]:
        """The parts up to ``project``."""
        nodes: dict[str, Node] = {"scale0": self.conv(self.channels, 1)}
        for i, rate in enumerate(self.rates, start=1):
            nodes[f"scale{i}"] = (
                self.separable(last.channels, dilation=rate) if separable else self.conv(self.channels, 3, dilation=rate)
            )
        nodes["image"] = Sequence({"pool": AdaptivePool(size=1), "conv": self.conv(self.channels, 1)})
        parts = {name: Part(sources=(last.name,), stride=last.stride, node=node) for name, node in nodes.items()}
        project = _with_dropout(self.conv(self.channels, 1), self.dropout)
        return {**parts, "project": Part(sources=tuple(nodes), stride=last.stride, node=project)}

    def separable(self, in_channels: int, *, dilation: int = 1) -> Node:
        """A 3x3 convolution of each channel alone, and a 1x1 one with norm and ReLU."""
        depthwise = Conv2d(
            out_channels=in_channels,
            kernel_size=(3, 3),
            padding=(dilation, dilation),
            dilation=(dilation, dilation),
            groups=in_channels,
            bias=False,
            init=_INIT,
        )
        return Sequence({"depthwise": depthwise, "pointwise": self.conv(self.channels, 1)})


@head("deeplabv3")
@dataclass(frozen=True, kw_only=True)
class DeepLabV3Head(_PyramidPoolingHead):
    """DeepLabv3 (Chen et al. 2017, arXiv:1706.05587, section 3.3): the last map seen at several scales.

    Attributes:
        channels: Of every convolution.
        rates: Dilations of the 3x3 convolutions beside each other; the paper's for an output stride of 8.
        dropout: Behind their projection.
    """

    output_stride: OutputStride | None = 8

    def decoder(self, maps: Mapping[str, FeatureInfo], *, num_classes: int) -> dict[str, Part]:
        last = list(maps.values())[-1]
        return {
            **self.pooled(last, separable=False),
            "hidden": Part(sources=("project",), stride=last.stride, node=self.conv(self.channels, 3)),
            "logits": Part(sources=("hidden",), stride=last.stride, node=output_layer(num_classes)),
        }


@head("deeplabv3plus")
@dataclass(frozen=True, kw_only=True)
class DeepLabV3PlusHead(_PyramidPoolingHead):
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

    def decoder(self, maps: Mapping[str, FeatureInfo], *, num_classes: int) -> dict[str, Part]:
        last = list(maps.values())[-1]
        parts = {
            **self.pooled(last, separable=True),
            "hidden": Part(sources=("project",), stride=last.stride, node=self.separable(self.channels)),
        }
        finer = {info.stride: info for info in maps.values() if info.stride < last.stride}
        if not finer:
            return {**parts, "logits": Part(sources=("hidden",), stride=last.stride, node=output_layer(num_classes))}
        stride = max((stride for stride in finer if stride <= 4), default=min(finer))
        detail = Part(sources=(finer[stride].name,), stride=stride, node=self.conv(self.detail_channels, 1))
        merged = self.separable(self.channels + self.detail_channels)
        return {
            **parts,
            "detail": detail,
            "merged": Part(sources=("hidden", "detail"), stride=stride, node=merged),
            "logits": Part(sources=("merged",), stride=stride, node=output_layer(num_classes)),
        }


@head("unet")
@dataclass(frozen=True, kw_only=True)
class UnetHead(SegmentationHead):
    """U-Net (Ronneberger et al. 2015, arXiv:1505.04597): from the coarsest stage up, past each finer one, to the image.

    Of each stride the last stage is a skip. A backbone whose finest stride is above 1 is followed by steps without.

    Attributes:
        channels: Widths of the steps; the last is the image's. A backbone with fewer steps leaves the first widths out,
            one with more repeats the first.
    """

    channels: Annotated[tuple[Count, ...], Field(min_length=1)] = (256, 128, 64, 32, 16)

    def decoder(self, maps: Mapping[str, FeatureInfo], *, num_classes: int) -> dict[str, Part]:
        skips = {info.stride: info.name for info in maps.values()}
        coarsest, *finer = sorted(skips, reverse=True)
        stride = min(skips)
        while stride > 1:
            stride //= 2
            finer.append(stride)
        widths = (self.channels[:1] * len(finer) + self.channels)[-len(finer) :] if finer else ()
        parts: dict[str, Part] = {}
        below = skips[coarsest]
        for stride, width in zip(finer, widths, strict=True):
            sources = (below, skips[stride]) if stride in skips else (below,)
            below = f"up{stride}"
            node = Sequence({"conv1": self.conv(width, 3), "conv2": self.conv(width, 3)})
            parts[below] = Part(sources=sources, stride=stride, node=node, resize="nearest")
        return {**parts, "logits": Part(sources=(below,), stride=1, node=output_layer(num_classes, kernel_size=3))}


@head("fpn")
@dataclass(frozen=True, kw_only=True)
class PanopticFpnHead(SegmentationHead):
    """The semantic branch of Panoptic FPN (Kirillov et al. 2019, arXiv:1901.02446, section 3.1).

    Every level is brought to the finest one in steps of a 3x3 convolution and a doubling; the levels are then added.

    Attributes:
        neck: The pyramid.
        channels: Of the convolutions.
    """

    norm: NormField = GroupNorm()
    neck: FPN = FPN(finest_stride=4, num_levels=4)
    channels: Count = 128

    def maps(self, backbone: BackboneSpec) -> dict[str, FeatureInfo]:
        return self.neck.feature_info(backbone)

    def out_features(self, backbone: BackboneSpec) -> list[str]:
        return [stage.name for stage in self.neck.stages(backbone).values()]

    def build_neck(self, backbone: BackboneSpec, *, image_size: tuple[int, int]) -> FeaturePyramid:
        return self.neck.build(backbone, image_size=image_size)

    def trace(self, backbone: BackboneSpec, *, num_classes: int, image_size: tuple[int, int]) -> list[Record]:
        """The neck's parts, then the decoder's."""
        records = self.neck.trace(backbone, image_size=image_size)
        parts = self.parts(backbone, num_classes=num_classes)
        return records + trace_parts(parts, self.neck.levels(records), image_size)

    def decoder(self, maps: Mapping[str, FeatureInfo], *, num_classes: int) -> dict[str, Part]:
        strides = [info.stride for info in maps.values()]
        parts: dict[str, Part] = {}
        ends = []
        for i, level in enumerate(maps.values()):
            source = level.name
            for stride in [strides[0]] if i == 0 else strides[i:0:-1]:
                name = f"from{level.stride}_at{stride}"
                parts[name] = Part(sources=(source,), stride=stride, node=self.conv(self.channels, 3))
                source = name
            ends.append(source)
        logits = Part(sources=tuple(ends), stride=strides[0], node=output_layer(num_classes), join="sum")
        return {**parts, "logits": logits}


def output_layer(num_classes: int, *, kernel_size: int = 1) -> Node:
    """The last layer: one map per class."""
    padding = kernel_size // 2
    return Conv2d(
        out_channels=num_classes,
        kernel_size=(kernel_size, kernel_size),
        padding=(padding, padding),
        init=Init("xavier_uniform"),
    )


def _with_dropout(conv: Node, p: float) -> Node:
    return Sequence({"conv": conv, "dropout": Dropout(p=p)} if p else {"conv": conv})
