"""The specification of a backbone: stages of named blocks, validated and traced without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Annotated, Any, ClassVar, Literal

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
    apply_stochastic_depth,
    count_residual_blocks,
    expand,
    parse_block,
    replace_stride_with_dilation,
    trace,
)
from visionkit.blocks.registry import Fraction, check_layers
from visionkit.blocks.shapes import pair
from visionkit.errors import UserError
from visionkit.names import check_name
from visionkit.schema import STRICT, describe, parse
from visionkit.sizes import ImageSize

__all__ = [
    "BACKBONE_KEYS",
    "BackboneSpec",
]

_MAX_IMAGE_SIZE = 65_536
_NOMINAL_IMAGE_SIZE = 32_768


@dataclass(frozen=True)
class _LayerDefaults:
    __pydantic_config__ = STRICT
    activation: ActivationField = None
    norm: NormField = None
    init: InitField | None = None


@dataclass(frozen=True, kw_only=True)
class _TorchvisionModel:
    """The key ``torchvision`` of a backbone file: the same network in torchvision."""

    __pydantic_config__ = STRICT
    model: str
    family: str


@dataclass(frozen=True, kw_only=True)
class _BackboneFile:
    """The keys of a backbone file."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
    stages: dict[str, Any]
    in_channels: Annotated[int, Field(gt=0, le=4096)] = 3
    image_size: ImageSize = 224
    layer_defaults: dict[str, Any] = field(default_factory=dict)
    classifier: dict[str, Any] = field(default_factory=dict)
    stem: str = PAPER
    stems: dict[str, dict[str, Any]] = field(default_factory=dict)
    output_stride: Literal[8, 16, 32] | None = None
    stochastic_depth: Fraction = 0.0
    weights: str | None = None
    torchvision: _TorchvisionModel | None = None


BACKBONE_KEYS = tuple(key.name for key in fields(_BackboneFile))
"""The keys of a backbone file."""


@dataclass(frozen=True)
class BackboneSpec:
    """A validated backbone.

    Attributes:
        name: Name of the backbone.
        in_channels: Channels of the images.
        image_size: Image size of the paper in pixels, one number or (height, width).
        stages: Stage names to expanded trees of blocks, fine to coarse.
        classifier: The paper's classifier, which ``head=auto`` builds.
        weights: Source of the initial weights, or None.
        torchvision: ``model`` and ``family`` of the same network in torchvision, or None.
        stems: The alternative stems of the file.
        output_stride: Limit of the total stride, above which stages are dilated, or None.
    """

    can_checkpoint: ClassVar[bool] = True
    """Whether the module computes stage by stage, so that maps within one can be computed again."""

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
        """Validate the content of a backbone file.

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
        file = parse(_BackboneFile, mapping, where=f"backbone {mapping.get('name', '')}".strip())
        where = f"backbone {file.name}"
        if not file.stages:
            raise UserError(f"{where}: stages: expected at least one stage, found none.")
        parse(_LayerDefaults, file.layer_defaults, where=f"{where}: layer_defaults")
        shape = FeatureShape.image(in_channels or file.in_channels, _NOMINAL_IMAGE_SIZE)
        stages = {}
        for name, layers in with_stem(file.stages, file.stem, file.stems, where=where).items():
            node = _parse_stage(name, layers, file.layer_defaults, where)
            try:
                stages[name], shape = expand(node, shape, path=(name,))
            except LayerError as error:
                raise UserError(f"{where}: stages.{'.'.join(error.path)}: {error}.") from None
        if file.stochastic_depth:
            stages = _apply_stochastic_depth(stages, file.stochastic_depth, where)
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
        spec.feature_info  # noqa: B018  (raises if a stage has no fixed stride)
        return spec if file.output_stride is None else spec.with_output_stride(file.output_stride)

    def with_output_stride(self, output_stride: int) -> BackboneSpec:
        """A copy whose last stages are dilated, so that no map has a larger stride.

        Raises:
            UserError: If the network cannot be built with this output stride.
        """
        stages = _replace_stride_with_dilation(self.stages, output_stride)
        return replace(self, stages=stages, output_stride=output_stride)

    @property
    def feature_info(self) -> dict[str, FeatureInfo]:
        """Stage names to the description of their maps, fine to coarse.

        Raises:
            UserError: If the stride of a stage's map depends on the image size.
        """
        shapes = self.feature_shapes(_NOMINAL_IMAGE_SIZE)
        return {name: self._make_feature_info(name, shape) for name, shape in shapes.items()}

    def feature_shapes(self, image_size: int | tuple[int, int]) -> dict[str, FeatureShape]:
        """Stage names to the shapes of their maps for an image of ``image_size`` pixels.

        Raises:
            UserError: As `trace`.
        """
        return {record.path[-1]: record.after for record in self.trace(image_size).children}

    def trace(self, image_size: int | tuple[int, int]) -> LayerRecord:
        """The record of the whole network for an image of ``image_size`` pixels; its children are the stages.

        Raises:
            UserError: If a layer does not fit into its input; names the layer, the sizes, and the
                smallest image that works.
        """
        try:
            return trace(Sequential(self.stages), FeatureShape.image(self.in_channels, image_size))
        except LayerError as error:
            raise UserError(self._explain_layer_error(error, image_size)) from None

    def smallest_image(self) -> int:
        """The smallest square image, in pixels, that every layer can take."""
        low, high = 0, 1
        while not self._fits(high):
            low, high = high, high * 2
            if high > _MAX_IMAGE_SIZE:
                raise UserError(
                    f"backbone {self.name}: no image up to {_MAX_IMAGE_SIZE} pixels is large enough for it."
                )
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

    def _make_feature_info(self, name: str, shape: FeatureShape) -> FeatureInfo:
        height, width = shape.height, shape.width
        if height.jump is None or height.offset is None or height.jump != width.jump:
            raise UserError(
                f"backbone {self.name}: stages.{name} ends in a map whose stride depends on the image or differs "
                "between height and width. Adaptive pooling and flattening belong to 'classifier', "
                "such as classifier: {pool: avg}."
            )
        return FeatureInfo(name, shape.channels, height.jump, height.offset)

    def _explain_layer_error(self, error: LayerError, image_size: int | tuple[int, int]) -> str:
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
        suggestions = [f"dataset.image_size={smallest}"]
        suggestions += [f"backbone.stem={stem}" for stem in self.stems]
        suggestions += [f"a smaller kernel or stride in backbone.stages.{'.'.join(path[:2])}"]
        return (
            f"{where}: {problem} "
            f"when the image is {'x'.join(str(n) for n in pair(image_size))}. "
            f"The smallest image that works is {smallest}x{smallest}. Try {' or '.join(suggestions)}."
        )


def _parse_stage(name: str, layers: Any, defaults: Mapping[str, Any], where: str) -> Sequential:
    stage_path = f"{where}: stages.{name}"
    check_name(name, where=stage_path)
    check_layers(layers, where=stage_path)
    return Sequential(
        {
            layer: parse_block(values, where=f"{stage_path}.{layer}", defaults=defaults)
            for layer, values in layers.items()
        }
    )


def _replace_stride_with_dilation(stages: Mapping[str, Node], output_stride: int) -> dict[str, Node]:
    dilated, stride, dilation = {}, 1, 1
    for name, stage in stages.items():
        dilated[name], stride, dilation = replace_stride_with_dilation(
            stage, output_stride, stride=stride, dilation=dilation
        )
    return dilated


def _apply_stochastic_depth(stages: Mapping[str, Node], last_probability: float, where: str) -> dict[str, Node]:
    """Stochastic depth: drop probabilities grow linearly to ``last_probability`` (Huang et al. 2016, equation 4).

    Only blocks with a shortcut count; torchvision also counts those without one, which it cannot drop.
    """
    total = sum(count_residual_blocks(stage) for stage in stages.values())
    if not total:
        raise UserError(f"{where}: stochastic_depth: there is no residual block to leave out. Expected 0.")
    probabilities = (last_probability * index / total for index in range(1, total + 1))
    return {name: apply_stochastic_depth(stage, probabilities) for name, stage in stages.items()}
