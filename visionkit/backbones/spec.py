"""A backbone as it is written: stages of named blocks, checked and sized without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Annotated, Any, Literal

from pydantic import Field

from visionkit.backbones.classifier import Classifier
from visionkit.backbones.feature_info import FeatureInfo
from visionkit.backbones.stem import PAPER, with_stem
from visionkit.blocks import (
    ActivationField,
    AvgPool,
    Conv2d,
    FeatureShape,
    InitField,
    LayerError,
    LayerRecord,
    MaxPool,
    Node,
    NormField,
    Sequential,
    count_residuals,
    drop_residuals,
    expand,
    hold_stride,
    parse_block,
    trace,
)
from visionkit.blocks.base import Fraction, check_layers
from visionkit.blocks.shapes import pair
from visionkit.errors import UserError
from visionkit.names import check_name
from visionkit.schema import STRICT, describe, parse

__all__ = [
    "BACKBONE_KEYS",
    "BackboneSpec",
]

_LARGEST_IMAGE = 65_536
_NOMINAL_IMAGE = 32_768


@dataclass(frozen=True)
class _LayerDefaults:
    __pydantic_config__ = STRICT
    activation: ActivationField = None
    norm: NormField = None
    init: InitField | None = None


@dataclass(frozen=True, kw_only=True)
class _Counterpart:
    """The same network in torchvision."""

    __pydantic_config__ = STRICT
    model: str
    family: str


@dataclass(frozen=True, kw_only=True)
class _File:
    """The keys of a backbone file."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
    stages: dict[str, Any]
    in_channels: Annotated[int, Field(gt=0, le=4096)] = 3
    image_size: Annotated[int, Field(gt=0, le=_LARGEST_IMAGE)] = 224
    layer_defaults: dict[str, Any] = field(default_factory=dict)
    classifier: dict[str, Any] = field(default_factory=dict)
    stem: str = PAPER
    stems: dict[str, dict[str, Any]] = field(default_factory=dict)
    output_stride: Literal[8, 16, 32] | None = None
    stochastic_depth: Fraction = 0.0
    weights: str | None = None
    torchvision: _Counterpart | None = None


BACKBONE_KEYS = tuple(key.name for key in fields(_File))
"""The keys of a backbone file."""


@dataclass(frozen=True)
class BackboneSpec:
    """A backbone file, read and found to be sound.

    Attributes:
        name: Its name.
        in_channels: Channels of the images it takes.
        image_size: The size in pixels that its paper works at, one number or (height, width).
        stages: Stage names to trees of primitives and combinators.
        classifier: What ``head=auto`` builds behind it.
        weights: Where its weights come from, or None.
        torchvision: Model and family name of the same network in torchvision, or None.
        stems: Other stems that could be chosen.
        output_stride: What the last stages are held at, or None.
    """

    name: str
    in_channels: int
    image_size: int | tuple[int, int]
    stages: Mapping[str, Node]
    classifier: Classifier
    weights: str | None = None
    torchvision: Mapping[str, str] | None = None
    stems: tuple[str, ...] = ()
    output_stride: int | None = None

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any], *, in_channels: int | None = None) -> BackboneSpec:
        """Read the content of a backbone file.

        Args:
            mapping: The file's content, overrides already applied.
            in_channels: Channels of the images, where they differ from the file's.

        Raises:
            UserError: If anything in it is unknown, of the wrong type, or does not fit together.
        """
        if in_channels is not None and (type(in_channels) is not int or not 1 <= in_channels <= 4096):
            raise UserError(f"in_channels: expected a whole number from 1 to 4096, found {describe(in_channels)}.")
        if not isinstance(mapping, Mapping) or not mapping:
            raise UserError(f"backbone: expected a mapping with the keys name and stages, found {describe(mapping)}.")
        file = parse(_File, mapping, where=f"backbone {mapping.get('name', '')}".strip())
        where = f"backbone {file.name}"
        if not file.stages:
            raise UserError(f"{where}: stages: expected at least one stage, found none.")
        parse(_LayerDefaults, file.layer_defaults, where=f"{where}: layer_defaults")
        shape = FeatureShape.image(in_channels or file.in_channels, _NOMINAL_IMAGE)
        stages = {}
        for name, layers in with_stem(file.stages, file.stem, file.stems, where=where).items():
            node = _parse_stage(name, layers, file.layer_defaults, where)
            try:
                stages[name], shape = expand(node, shape, path=(name,))
            except LayerError as error:
                raise UserError(f"{where}: stages.{'.'.join(error.path)}: {error}.") from None
        if file.stochastic_depth:
            stages = _drop_residuals(stages, file.stochastic_depth, where)
        classifier = Classifier.from_mapping(file.classifier, defaults=file.layer_defaults, where=where)
        spec = cls(
            name=file.name,
            in_channels=in_channels or file.in_channels,
            image_size=file.image_size,
            stages=stages,
            classifier=classifier,
            weights=file.weights,
            torchvision=None if file.torchvision is None else vars(file.torchvision),
            stems=tuple(stem for stem in file.stems if stem != file.stem),
        )
        spec.feature_info  # noqa: B018  (says now which stage has no stride of its own)
        return spec if file.output_stride is None else spec.hold_stride(file.output_stride)

    def hold_stride(self, output_stride: int) -> BackboneSpec:
        """The same with its last stages dilated, so that no map has a larger stride.

        Raises:
            UserError: If the network cannot be built so.
        """
        return replace(self, stages=_hold_stride(self.stages, output_stride), output_stride=output_stride)

    @property
    def feature_info(self) -> dict[str, FeatureInfo]:
        """What each stage gives, fine to coarse.

        Raises:
            UserError: If a stage ends in a map whose stride depends on the image.
        """
        return {name: self._feature(name, shape) for name, shape in self.features(_NOMINAL_IMAGE).items()}

    def features(self, image_size: int | tuple[int, int]) -> dict[str, FeatureShape]:
        """The shape behind every stage for an image of ``image_size`` pixels.

        Raises:
            UserError: As `trace`.
        """
        return {record.path[-1]: record.after for record in self.trace(image_size).children}

    def trace(self, image_size: int | tuple[int, int]) -> LayerRecord:
        """What each stage, layer and block does to an image of ``image_size`` pixels.

        Raises:
            UserError: If a layer does not fit into its input; names the layer, the sizes, and the
                smallest image that works.
        """
        try:
            return trace(Sequential(self.stages), FeatureShape.image(self.in_channels, image_size))
        except LayerError as error:
            raise UserError(self._explain(error, image_size)) from None

    def smallest_image(self) -> int:
        """The smallest square image, in pixels, that every layer can take."""
        low, high = 0, 1
        while not self._fits(high):
            low, high = high, high * 2
            if high > _LARGEST_IMAGE:
                raise UserError(f"backbone {self.name}: no image up to {_LARGEST_IMAGE} pixels is large enough for it.")
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self._fits(middle) else (middle, high)
        return high

    def _fits(self, image_size: int) -> bool:
        try:
            trace(Sequential(self.stages), FeatureShape.image(self.in_channels, image_size))
        except LayerError:
            return False
        return True

    def _feature(self, name: str, shape: FeatureShape) -> FeatureInfo:
        height, width = shape.height, shape.width
        if height.jump is None or height.offset is None or height.jump != width.jump:
            raise UserError(
                f"backbone {self.name}: stages.{name} ends in a map whose stride depends on the image or differs "
                "between height and width. Adaptive pooling and flattening belong to 'classifier', "
                "such as classifier: {pool: avg}."
            )
        return FeatureInfo(name, shape.channels, height.jump, height.offset)

    def _explain(self, error: LayerError, image_size: int | tuple[int, int]) -> str:
        path = error.path[:-1] if error.path[-1] == "conv" and len(error.path) > 2 else error.path
        where = f"backbone {self.name}: stages.{'.'.join(path)}"
        problem = str(error)
        if not error.too_small:
            return f"{where}: {problem}."
        if isinstance(error.layer, Conv2d | MaxPool | AvgPool):
            channels, height, width = error.shape.chw
            windows = error.layer.windows()
            kernel = "x".join(str(window.kernel) for window in windows)
            padding = "x".join(dict.fromkeys(str(window.padding) for window in windows))
            problem = f"its {kernel} kernel does not fit into its {height}x{width}x{channels} input (padding {padding})"
        smallest = self.smallest_image()
        ways = [f"dataset.image_size={smallest}"]
        ways += [f"backbone.stem={stem}" for stem in self.stems]
        ways += [f"a smaller kernel or stride in backbone.stages.{'.'.join(path[:2])}"]
        return (
            f"{where}: {problem} "
            f"when the image is {'x'.join(str(n) for n in pair(image_size))}. "
            f"The smallest image that works is {smallest}x{smallest}. Try {' or '.join(ways)}."
        )


def _parse_stage(name: str, layers: Any, defaults: Mapping[str, Any], where: str) -> Sequential:
    place = f"{where}: stages.{name}"
    check_name(name, where=place)
    check_layers(layers, where=place)
    return Sequential(
        {layer: parse_block(values, where=f"{place}.{layer}", defaults=defaults) for layer, values in layers.items()}
    )


def _hold_stride(stages: Mapping[str, Node], limit: int) -> dict[str, Node]:
    held, stride, dilation = {}, 1, 1
    for name, stage in stages.items():
        held[name], stride, dilation = hold_stride(stage, limit, stride=stride, dilation=dilation)
    return held


def _drop_residuals(stages: Mapping[str, Node], last: float, where: str) -> dict[str, Node]:
    """Stochastic depth, growing from the first residual block to ``last`` (Huang et al. 2016, equation 4).

    Only blocks with a shortcut count; torchvision also counts those without one, which it cannot drop.
    """
    total = sum(count_residuals(stage) for stage in stages.values())
    if not total:
        raise UserError(f"{where}: stochastic_depth: there is no residual block to leave out. Expected 0.")
    probabilities = (last * nth / total for nth in range(1, total + 1))
    return {name: drop_residuals(stage, probabilities) for name, stage in stages.items()}
