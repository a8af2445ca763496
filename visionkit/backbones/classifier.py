"""The classifier of a backbone's paper: pooling, hidden layers, dropout and output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from visionkit.blocks import (
    ActivationField,
    AdaptivePool,
    Composite,
    Conv2d,
    Dropout,
    Flatten,
    Init,
    InitField,
    Linear,
    Node,
    NormField,
    Sequential,
)
from visionkit.blocks.registry import Count, Fraction
from visionkit.schema import parse

__all__ = ["Classifier", "classifier_layers"]


@dataclass(frozen=True, kw_only=True)
class Classifier:
    """The key ``classifier`` of a backbone file.

    Attributes:
        pool: ``avg`` or ``max`` (global pooling), ``flatten`` (no pooling), or the output size of adaptive
            average pooling, in cells per side.
        hidden: Widths of the fully connected layers between pooling and output.
        dropout: Dropout probability; 0 omits it.
        dropout_place: Before or after each hidden layer, or once before the output.
        activation: After each hidden layer, and after an output convolution.
        init: Of the hidden layers and the output.
        norm: A norm directly after pooling.
        output: ``linear``, or ``conv``: a 1x1 convolution with the activation, followed by pooling.
    """

    pool: Literal["avg", "max", "flatten"] | Count = "avg"
    hidden: tuple[Count, ...] = ()
    dropout: Fraction = 0.0
    dropout_place: Literal["before_hidden", "after_hidden", "before_output"] = "after_hidden"
    activation: ActivationField = None
    init: InitField = Init()
    norm: NormField = None
    output: Literal["linear", "conv"] = "linear"

    def __post_init__(self) -> None:
        if self.output == "conv" and (self.hidden or self.pool == "flatten" or self.norm is not None):
            raise ValueError("output 'conv' goes with pool avg, max or a number, and without hidden layers or norm")

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any], *, defaults: Mapping[str, Any], where: str) -> Classifier:
        """Parse the mapping; activation and init default to those of ``layer_defaults``.

        Raises:
            UserError: If a key is unknown or a value wrong.
        """
        field_names = {field.name for field in fields(cls)} - {"norm"}
        arguments = {key: value for key, value in defaults.items() if key in field_names} | dict(values)
        return parse(cls, arguments, where=f"{where}: classifier")


@dataclass(frozen=True, kw_only=True)
class ClassifierLayers(Composite):
    """The layers of a `Classifier` for a number of classes."""

    classifier: Classifier
    num_classes: int

    def parts(self, in_channels: int) -> Node:
        spec = self.classifier
        if spec.output == "conv":
            return Sequential(self._convolutional())
        layers: dict[str, Node] = {}
        if spec.pool != "flatten":
            layers["pool"] = self._pool_layer()
        if spec.norm is not None:
            layers["norm"] = spec.norm
        layers["flatten"] = Flatten()
        dropout = {position: Dropout(p=spec.dropout) for position in [spec.dropout_place] if spec.dropout}
        for i, width in enumerate(spec.hidden, start=1):
            if "before_hidden" in dropout:
                layers[f"dropout{i}"] = dropout["before_hidden"]
            layers[f"hidden{i}"] = Linear(out_features=width, init=spec.init)
            if spec.activation is not None:
                layers[f"act{i}"] = spec.activation
            if "after_hidden" in dropout:
                layers[f"dropout{i}"] = dropout["after_hidden"]
        if "before_output" in dropout:
            layers["dropout"] = dropout["before_output"]
        layers["output"] = Linear(out_features=self.num_classes, init=spec.init)
        return Sequential(layers)

    def _convolutional(self) -> dict[str, Node]:
        spec = self.classifier
        layers: dict[str, Node] = {"dropout": Dropout(p=spec.dropout)} if spec.dropout else {}
        layers["output"] = Conv2d(out_channels=self.num_classes, kernel_size=(1, 1), init=spec.init)
        if spec.activation is not None:
            layers["act"] = spec.activation
        return {**layers, "pool": self._pool_layer(), "flatten": Flatten()}

    def _pool_layer(self) -> AdaptivePool:
        pool = self.classifier.pool
        return (
            AdaptivePool(size=1, kind="max")
            if pool == "max"
            else AdaptivePool(size=pool if isinstance(pool, int) else 1)
        )


def classifier_layers(classifier: Classifier, *, num_classes: int) -> Node:
    """The tree of blocks from the last map (C, H, W) to the logits (num_classes,)."""
    return ClassifierLayers(classifier=classifier, num_classes=num_classes)
