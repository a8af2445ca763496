"""Specifications of classification heads: the layers from the last feature map to a logit per class."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from visionkit.backbones import BackboneSpec
from visionkit.backbones.classifier import Classifier, classifier_layers
from visionkit.blocks import (
    ActivationField,
    AdaptivePool,
    Conv,
    Dropout,
    Flatten,
    InitField,
    LayerRecord,
    Node,
    Sequential,
    build,
    expand,
    trace,
)
from visionkit.blocks.registry import Count, Fraction
from visionkit.errors import UserError
from visionkit.heads.spec import HeadSpec
from visionkit.losses.spec import (
    LABEL_LOSSES,
    LABEL_SET_LOSSES,
    LabelLosses,
    LabelSetLosses,
    LossSpec,
    check_shared_keys,
    loss_terms,
)
from visionkit.registry import Registry

__all__ = [
    "AutoSpec",
    "ClassificationSpec",
    "ConvSpec",
    "LinearSpec",
    "MlpSpec",
    "MultilabelLinearSpec",
    "MultilabelSpec",
]


@dataclass(frozen=True, kw_only=True)
class ClassificationSpec(HeadSpec):
    """A classification head.

    Attributes:
        loss: The losses of the registry ``losses`` whose weighted sum is minimised.
        label_smoothing: Fraction of each target spread evenly over all classes (Szegedy et al. 2016,
            arXiv:1512.00567, section 7).
        class_weights: A factor per class, ``balanced`` (inverse to the frequency in the training data), or None.
    """

    task: ClassVar[str] = "classify"
    losses: ClassVar[Registry[LossSpec]] = LABEL_LOSSES
    """The registry of ``loss``."""

    loss: LabelLosses
    label_smoothing: Fraction
    class_weights: tuple[Annotated[float, Field(gt=0, le=1_000_000)], ...] | Literal["balanced"] | None

    @abstractmethod
    def parts(self, backbone: BackboneSpec, *, num_classes: int) -> Node:
        """The blocks from the last map (C, H, W) to a logit per class."""

    def check(self, *, num_classes: int) -> None:
        """Check that there is one class weight per class, and that a loss uses what is set.

        Raises:
            UserError: If there is not.
        """
        check_shared_keys(self.losses, self.loss, self)
        if isinstance(self.class_weights, tuple) and len(self.class_weights) != num_classes:
            raise UserError(
                f"head.class_weights: expected one number for each of the {num_classes} classes, "
                f"found {len(self.class_weights)}."
            )

    def trace(self, backbone: BackboneSpec, *, num_classes: int, image_size: tuple[int, int]) -> list[LayerRecord]:
        """The record of the head's layers on the backbone's last map."""
        last = list(backbone.feature_shapes(image_size).values())[-1]
        tree, _ = expand(self.parts(backbone, num_classes=num_classes), last)
        return [trace(tree, last, path=("head",))]

    def arguments(self, backbone: BackboneSpec, *, num_classes: int, image_size: tuple[int, int]) -> dict[str, Any]:
        """The arguments of `visionkit.heads.classification.head.ClassificationHead`, with freshly initialised layers.

        Raises:
            UserError: If class weights are still ``balanced``, or the image is too small for the backbone.
        """
        if self.class_weights == "balanced":
            raise UserError("head.class_weights=balanced needs a data set to count in; give the numbers themselves.")
        (layers,) = self.trace(backbone, num_classes=num_classes, image_size=image_size)
        return {
            "layers": build(layers.node, layers.before)[0],
            "input_size": layers.before.chw[1:] if self._flattens(backbone) else None,
            "losses": loss_terms(self.losses, self.loss, self),
            "class_weights": self.class_weights,
        }

    def _flattens(self, backbone: BackboneSpec) -> bool:
        return False


@dataclass(frozen=True, kw_only=True)
class AutoSpec(ClassificationSpec):
    """The head of the backbone's paper, as ``classifier`` in the backbone's file describes it."""

    def parts(self, backbone: BackboneSpec, *, num_classes: int) -> Node:
        return classifier_layers(backbone.classifier, num_classes=num_classes)

    def _flattens(self, backbone: BackboneSpec) -> bool:
        return backbone.classifier.pool == "flatten"


@dataclass(frozen=True, kw_only=True)
class LinearSpec(ClassificationSpec):
    """Global average pooling and one fully connected layer."""

    dropout: Fraction

    def parts(self, backbone: BackboneSpec, *, num_classes: int) -> Node:
        return classifier_layers(
            Classifier(dropout=self.dropout, dropout_place="before_output"), num_classes=num_classes
        )


@dataclass(frozen=True, kw_only=True)
class MlpSpec(ClassificationSpec):
    """Global average pooling, hidden fully connected layers of the widths ``hidden``, and an output layer."""

    hidden: tuple[Count, ...]
    activation: ActivationField
    dropout: Fraction
    init: InitField

    def parts(self, backbone: BackboneSpec, *, num_classes: int) -> Node:
        classifier = Classifier(hidden=self.hidden, activation=self.activation, dropout=self.dropout, init=self.init)
        return classifier_layers(classifier, num_classes=num_classes)


@dataclass(frozen=True, kw_only=True)
class ConvSpec(ClassificationSpec):
    """1x1 convolutions to a map per class, averaged over the map (Lin et al. 2014, arXiv:1312.4400, section 3.2)."""

    hidden: tuple[Count, ...]
    activation: ActivationField
    dropout: Fraction

    def parts(self, backbone: BackboneSpec, *, num_classes: int) -> Node:
        layers: dict[str, Node] = {
            f"conv{i}": Conv(out_channels=width, kernel_size=1, activation=self.activation)
            for i, width in enumerate(self.hidden, start=1)
        }
        if self.dropout:
            layers["dropout"] = Dropout(p=self.dropout)
        layers["output"] = Conv(out_channels=num_classes, kernel_size=1)
        return Sequential({**layers, "pool": AdaptivePool(size=1), "flatten": Flatten()})


@dataclass(frozen=True, kw_only=True)
class MultilabelSpec(AutoSpec):
    """The layers of the backbone's paper, with a sigmoid per class instead of a softmax over all."""

    task = "multilabel"
    losses = LABEL_SET_LOSSES
    loss: LabelSetLosses


@dataclass(frozen=True, kw_only=True)
class MultilabelLinearSpec(LinearSpec):
    """Global average pooling and one fully connected layer, with a sigmoid per class."""

    task = "multilabel"
    losses = LABEL_SET_LOSSES
    loss: LabelSetLosses
