"""Shared by all specifications of segmentation heads: parts, losses and class weights; no torch."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from visionkit.backbones import BackboneSpec, FeatureInfo
from visionkit.blocks import (
    Activation,
    BatchNorm,
    Conv,
    Conv2d,
    Dropout,
    Init,
    LayerRecord,
    Node,
    NormField,
    Sequential,
    build,
)
from visionkit.blocks.registry import Fraction
from visionkit.errors import UserError
from visionkit.heads.segmentation.parts import DecoderPart, trace_parts
from visionkit.heads.spec import HeadSpec
from visionkit.losses.spec import PIXEL_LOSSES, PixelLosses, check_shared_keys, loss_terms
from visionkit.schema import STRICT
from visionkit.structures.class_ids import IGNORE_INDEX, MAX_CLASSES

__all__ = ["HIDDEN_INIT", "Auxiliary", "OutputStride", "SegmentationSpec", "output_layer", "with_dropout"]

Factor = Annotated[float, Field(ge=0, le=1_000_000)]
OutputStride = Literal[8, 16, 32]

HIDDEN_INIT = Init("kaiming_uniform", mode="fan_in", nonlinearity="relu")
"""The initialisation of convolutions before a ReLU (He et al. 2015, arXiv:1502.01852)."""


@dataclass(frozen=True, kw_only=True)
class Auxiliary:
    """A second, small head on the last but one map, for training (Zhao et al. 2017, arXiv:1612.01105, section 3.3).

    Attributes:
        weight: The factor of its loss.
    """

    __pydantic_config__ = STRICT

    weight: Annotated[float, Field(gt=0, le=1_000_000)]


@dataclass(frozen=True, kw_only=True)
class SegmentationSpec(HeadSpec):
    """A decoder: named parts that join maps, the last of which is ``logits``.

    Attributes:
        norm: The norm after each convolution.
        output_stride: The output stride of the backbone, by dilation, where the backbone does not set its own.
        auxiliary: A second head for training, or None.
        loss: The losses of `visionkit.losses.spec.PIXEL_LOSSES` whose weighted sum is minimised.
        focal_gamma: The focal loss's focusing parameter.
        label_smoothing: Fraction of each pixel's target spread evenly over all classes, in the cross-entropy.
        class_weights: A factor per class in cross-entropy and focal loss, ``balanced`` (inverse to the classes' pixels
            in the training data), or None.
    """

    task: ClassVar[str] = "segment"

    norm: NormField
    output_stride: OutputStride | None
    auxiliary: Auxiliary | None
    loss: PixelLosses
    focal_gamma: Annotated[float, Field(ge=1, le=100)]
    label_smoothing: Fraction
    class_weights: tuple[Factor, ...] | Literal["balanced"] | None

    @abstractmethod
    def decoder(self, maps: Mapping[str, FeatureInfo], *, num_classes: int) -> dict[str, DecoderPart]:
        """The decoder's parts on input maps, fine to coarse; the last part is ``logits``."""

    def maps(self, backbone: BackboneSpec) -> dict[str, FeatureInfo]:
        """The maps that the decoder may take as sources, fine to coarse."""
        return backbone.feature_info

    def adapt_backbone(self, backbone: BackboneSpec) -> BackboneSpec:
        if self.output_stride is None or backbone.output_stride is not None:
            return backbone
        return backbone.with_output_stride(self.output_stride)

    def parts(self, backbone: BackboneSpec, *, num_classes: int) -> dict[str, DecoderPart]:
        """The parts of the decoder and of the auxiliary head."""
        maps = self.maps(backbone)
        parts = self.decoder(maps, num_classes=num_classes)
        if self.auxiliary is not None:
            parts |= self._auxiliary(list(maps.values())[-2:][0], num_classes=num_classes)
        return parts

    def out_features(self, backbone: BackboneSpec) -> list[str]:
        used = {source for part in self.parts(backbone, num_classes=1).values() for source in part.sources}
        return [name for name in backbone.stages if name in used]

    def check(self, *, num_classes: int) -> None:
        """Check that a mask can hold the classes, that there is one class weight per class, and that a loss uses it.

        Raises:
            UserError: If not, or if all class weights are 0.
        """
        check_shared_keys(PIXEL_LOSSES, self.loss, self)
        if num_classes > MAX_CLASSES:
            raise UserError(
                f"head: found {num_classes} classes, but a mask holds at most {MAX_CLASSES}: one byte per pixel, of "
                f"which {IGNORE_INDEX} stands for pixels that do not count. Try a data set whose class map joins some "
                "of them."
            )
        if isinstance(self.class_weights, tuple) and len(self.class_weights) != num_classes:
            raise UserError(
                f"head.class_weights: expected one number for each of the {num_classes} classes, "
                f"found {len(self.class_weights)}."
            )
        if isinstance(self.class_weights, tuple) and not any(self.class_weights):
            raise UserError("head.class_weights: all are 0, so no pixel would count. Expected one above 0.")

    def trace(self, backbone: BackboneSpec, *, num_classes: int, image_size: tuple[int, int]) -> list[LayerRecord]:
        """The records of all parts; see `visionkit.heads.segmentation.parts.trace_parts`."""
        parts = self.parts(backbone, num_classes=num_classes)
        return trace_parts(parts, backbone.feature_shapes(image_size), image_size)

    def arguments(self, backbone: BackboneSpec, *, num_classes: int, image_size: tuple[int, int]) -> dict[str, Any]:
        """The arguments of `visionkit.heads.segmentation.head.SegmentationHead`, with freshly initialised layers.

        Raises:
            UserError: If class weights are still ``balanced``, or the image is too small for the backbone.
        """
        if self.class_weights == "balanced":
            raise UserError("head.class_weights=balanced needs a data set to count in; give the numbers themselves.")
        records = self.trace(backbone, num_classes=num_classes, image_size=image_size)
        parts = self.parts(backbone, num_classes=num_classes)
        layers = {
            record.path[1]: build(record.node, record.before)[0]
            for record in records
            if record.path[0] == "head" and record.path[1] in parts
        }
        return {
            "parts": parts,
            "layers": layers,
            "maps": self.maps(backbone),
            "losses": loss_terms(PIXEL_LOSSES, self.loss, self),
            "class_weights": self.class_weights,
            "auxiliary_weight": None if self.auxiliary is None else self.auxiliary.weight,
        }

    def conv(self, out_channels: int, kernel_size: int, *, dilation: int = 1) -> Conv:
        """A convolution that keeps the size, a norm and ReLU."""
        return Conv(
            out_channels=out_channels,
            kernel_size=kernel_size,
            padding="same",
            dilation=dilation,
            norm=self.norm,
            activation=Activation("relu"),
            init=HIDDEN_INIT,
        )

    def _dilated_resnet(self, backbone: BackboneSpec) -> str | None:
        """The backbone's name in torchvision's segmentation models, or None where they do not have it."""
        model = (backbone.torchvision or {}).get("model")
        if model not in ("resnet50", "resnet101") or self.norm != BatchNorm():
            return None
        return model if self.adapt_backbone(backbone).output_stride == 8 else None

    def _auxiliary(self, source: FeatureInfo, *, num_classes: int) -> dict[str, DecoderPart]:
        hidden = with_dropout(self.conv(max(source.channels // 4, 1), 3), 0.1)
        parts = {
            "auxiliary_hidden": DecoderPart(sources=(source.name,), stride=source.stride, node=hidden),
            "auxiliary": DecoderPart(
                sources=("auxiliary_hidden",), stride=source.stride, node=output_layer(num_classes)
            ),
        }
        return {name: replace(part, training_only=True) for name, part in parts.items()}


def output_layer(num_classes: int, *, kernel_size: int = 1) -> Node:
    """The output layer: a convolution to a map of logits per class."""
    padding = kernel_size // 2
    return Conv2d(
        out_channels=num_classes,
        kernel_size=(kernel_size, kernel_size),
        padding=(padding, padding),
        init=Init("xavier_uniform"),
    )


def with_dropout(conv: Node, p: float) -> Node:
    """A convolution, followed by dropout where ``p`` is above 0."""
    return Sequential({"conv": conv, "dropout": Dropout(p=p)} if p else {"conv": conv})
