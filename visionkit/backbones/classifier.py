"""What a paper puts behind its last map: pooling, hidden layers, dropout."""

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
from visionkit.blocks.base import Count, Fraction
from visionkit.schema import parse

__all__ = ["Classifier", "classifier_layers"]


@dataclass(frozen=True, kw_only=True)
class Classifier:
    """The key ``classifier`` of a backbone file.

    Attributes:
        pool: ``avg`` or ``max`` (one cell is left), ``flatten`` (all cells count), or the number of
            cells per side that adaptive mean pooling leaves.
        hidden: Widths of the fully connected layers between pooling and output.
        dropout: Probability; 0 leaves it out.
        dropout_place: Before or after each hidden layer, or once before the output.
        norm: A norm right behind pooling.
        output: ``linear``, or ``conv``: a 1x1 convolution with the activation, its maps pooled at the very end.
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
        """Read the mapping; ``layer_defaults`` give activation and init where it does not, but no norm.

        Raises:
            UserError: If a key is unknown or a value wrong.
        """
        known = {field.name for field in fields(cls)} - {"norm"}
        given = {key: value for key, value in defaults.items() if key in known} | dict(values)
        return parse(cls, given, where=f"{where}: classifier")


@dataclass(frozen=True, kw_only=True)
class ClassifierLayers(Composite):
    """The layers of a `Classifier` with their output."""

    classifier: Classifier
    num_classes: int

    def parts(self, in_channels: int) -> Node:
        spec = self.classifier
        if spec.output == "conv":
            return Sequential(self._convolutional())
        layers: dict[str, Node] = {}
        if spec.pool != "flatten":
            layers["pool"] = self._pool()
        if spec.norm is not None:
            layers["norm"] = spec.norm
        layers["flatten"] = Flatten()
        dropout = {place: Dropout(p=spec.dropout) for place in [spec.dropout_place] if spec.dropout}
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
        return {**layers, "pool": self._pool(), "flatten": Flatten()}

    def _pool(self) -> AdaptivePool:
        pool = self.classifier.pool
        return (
            AdaptivePool(size=1, kind="max")
            if pool == "max"
            else AdaptivePool(size=pool if isinstance(pool, int) else 1)
        )


def classifier_layers(classifier: Classifier, *, num_classes: int) -> Node:
    """The tree from the last map (C, H, W) to one number per class."""
    return ClassifierLayers(classifier=classifier, num_classes=num_classes)
