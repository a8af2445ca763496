"""``backbone=timm backbone.model=NAME``: a timm model with feature maps as a backbone.

timm (an extra: ``pip install "visionkit[timm]"``) and torch are imported when such a backbone is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from visionkit.backbones.classifier import Classifier
from visionkit.backbones.feature_info import FeatureInfo
from visionkit.backbones.spec import BackboneSpec
from visionkit.blocks import FeatureShape, LayerRecord, Node, Primitive, Sequential, trace
from visionkit.blocks.shapes import pair
from visionkit.errors import UserError, did_you_mean
from visionkit.schema import parse
from visionkit.sizes import ImageSize

if TYPE_CHECKING:
    from torch import nn

    from visionkit.backbones.timm.measure import StageMeasurement, TimmModel

__all__ = ["TimmSpec", "TimmStage", "timm_models"]


@dataclass(frozen=True, kw_only=True)
class _TimmConfig:
    """The keys of ``conf/backbone/timm.yaml``."""

    name: Literal["timm"]
    model: str | None = None
    in_channels: Annotated[int, Field(gt=0, le=4096)] = 3
    image_size: ImageSize | None = None
    output_stride: Literal[8, 16, 32] | None = None
    classifier: dict[str, Any] = field(default_factory=dict)
    weights: str | None = None


@dataclass(frozen=True)
class TimmStage(Primitive):
    """One stage of a timm model, known by what was measured of it at one image size."""

    is_opaque: ClassVar[bool] = True

    measurement: StageMeasurement
    num_parameters: int

    def output(self, shape: FeatureShape) -> FeatureShape:
        return self.measurement.shape

    def parameters(self, shape: FeatureShape) -> int:
        return self.num_parameters

    def macs(self, shape: FeatureShape) -> int:
        """Multiplications with a weight for one image."""
        return self.measurement.macs

    def build(self, shape: FeatureShape) -> nn.Module:
        raise TypeError("timm builds its stages together; see TimmBackbone")


@dataclass(frozen=True, kw_only=True)
class TimmSpec(BackboneSpec):
    """A timm model as a backbone: stages ``stage1``, ``stage2``, ... are timm's own feature maps.

    Attributes:
        model: The arguments of ``timm.create_model``.
    """

    can_checkpoint: ClassVar[bool] = False

    model: TimmModel

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any], *, in_channels: int | None = None) -> TimmSpec:
        """Validate ``{name: timm, model: NAME, ...}``.

        Args:
            mapping: The keys, overrides already applied.
            in_channels: Channels of the images, where they differ from the mapping's.

        Raises:
            UserError: If a key is unknown or wrong, timm is not installed, or it has no such model with feature maps.
        """
        file = parse(_TimmConfig, mapping, where="backbone timm")
        _require_timm()
        name = _check_model_name(file.model)
        import timm

        from visionkit.backbones.timm.measure import TimmModel

        published: Any = timm.get_pretrained_cfg(name)
        image_size = pair(file.image_size or tuple(published.input_size[-2:]))
        model = TimmModel(
            name,
            in_channels or file.in_channels,
            fixed_size=image_size if published.fixed_input_size else None,
            output_stride=file.output_stride,
        )
        return cls(
            name=f"timm-{name}",
            in_channels=model.in_channels,
            image_size=image_size,
            stages=_create_stages(model, image_size),
            classifier=Classifier.from_mapping(file.classifier, defaults={}, where=f"backbone timm-{name}"),
            weights=file.weights,
            model=model,
            output_stride=file.output_stride,
        )

    def with_output_stride(self, output_stride: int) -> TimmSpec:
        """A copy whose last stages are dilated by timm.

        Raises:
            UserError: If timm cannot build the model with this output stride.
        """
        model = replace(self.model, output_stride=output_stride)
        stages = _create_stages(model, pair(self.image_size))
        return replace(self, model=model, stages=stages, output_stride=output_stride)

    @property
    def feature_info(self) -> dict[str, FeatureInfo]:
        """Stage names to the description of their maps, fine to coarse."""
        infos = {}
        for name, stage in self.stages.items():
            assert isinstance(stage, TimmStage)
            infos[name] = self._make_feature_info(name, stage.measurement.shape)
        return infos

    def trace(self, image_size: int | tuple[int, int]) -> LayerRecord:
        """The record of the network for an image of ``image_size`` pixels, from a run on the meta device.

        Raises:
            UserError: If the model cannot take such an image.
        """
        size = pair(image_size)
        try:
            stages = _stages(self.model, size)
        except UserError as error:
            if self.model.fixed_size is not None:
                raise
            smallest = self.smallest_image()
            raise UserError(f"{error} One of {smallest}x{smallest} works. Try dataset.image_size={smallest}.") from None
        return trace(Sequential(stages), FeatureShape.image(self.in_channels, size))

    def smallest_image(self) -> int:
        """The smallest square image, in pixels, that the model can take."""
        return max(self.model.fixed_size) if self.model.fixed_size else super().smallest_image()

    def _fits(self, image_size: int) -> bool:
        try:
            _stages(self.model, (image_size, image_size))
        except UserError:
            return False
        return True

    def published_normalization(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and std of timm's published weights, per channel, for images in 0..1."""
        published = self.model.published()
        return tuple(published.mean), tuple(published.std)


def timm_models() -> list[str]:
    """The names of timm's models.

    Raises:
        UserError: If timm is not installed.
    """
    _require_timm()
    import timm

    names: list[str] = timm.list_models()
    return names


def _require_timm() -> None:
    if find_spec("timm") is None:
        raise UserError(
            "backbone timm: the package timm, where these models come from, is not installed. "
            "Try: pip install 'visionkit[timm]'"
        )


def _check_model_name(name: str | None) -> str:
    hint = "To list them: python -m visionkit list timm pattern='convnext*'"
    if name is None:
        raise UserError(
            "backbone timm: model: it is not said which of timm's models is meant. "
            f"Try backbone.model=convnext_tiny. {hint}"
        )
    import timm

    architecture, _, tag = name.partition(".")
    if not timm.is_model(architecture):
        nearest = did_you_mean(architecture, timm_models())
        raise UserError(f"backbone timm: model: timm has no model '{name}'.{nearest} {hint}")
    if tag and name not in timm.list_pretrained():
        tags = timm.list_pretrained(f"{architecture}.*")
        raise UserError(
            f"backbone timm: model: timm has no weights '{tag}' for {architecture}.{did_you_mean(name, tags)} "
            f"Known: {', '.join([architecture, *tags])}."
        )
    return name


def _create_stages(model: TimmModel, image_size: tuple[int, int]) -> dict[str, Node]:
    from visionkit.backbones.timm.measure import features_on_meta

    try:
        features_on_meta(model)
    except Exception as error:
        raise UserError(_explain_creation(model, error)) from None
    return _stages(model, image_size)


def _stages(model: TimmModel, image_size: tuple[int, int]) -> dict[str, Node]:
    from visionkit.backbones.timm.measure import features_on_meta, measure

    try:
        measurements = measure(model, image_size)
    except Exception as error:
        raise UserError(_explain_size(model, image_size, error)) from None
    counts = {name: parameter.numel() for name, parameter in features_on_meta(model).named_parameters()}
    return {
        f"stage{i}": TimmStage(stage, sum(counts[name] for name in stage.parameters))
        for i, stage in enumerate(measurements, start=1)
    }


def _explain_creation(model: TimmModel, error: Exception) -> str:
    where, reason = f"backbone timm-{model.name}", _first_line(error)
    if model.output_stride is not None:
        return (
            f"{where}: timm cannot build this model with output_stride={model.output_stride} ({reason}). "
            "Try without, or another model, such as backbone.model=resnet50."
        )
    size = "" if model.fixed_size is None else f" for images of {_format_size(model.fixed_size)}"
    return f"{where}: timm cannot build this model with feature maps{size}: {reason}."


def _explain_size(model: TimmModel, image_size: tuple[int, int], error: Exception) -> str:
    where = f"backbone timm-{model.name}"
    if model.fixed_size is not None and image_size != model.fixed_size:
        return (
            f"{where}: this model is made for one image size, here {_format_size(model.fixed_size)}, and cannot take "
            f"{_format_size(image_size)}. Try dataset.image_size={_typed_size(model.fixed_size)} "
            f"or backbone.image_size={_typed_size(image_size)}."
        )
    return (
        f"{where}: the model cannot take a {model.in_channels}x{_format_size(image_size)} image: {_first_line(error)}."
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")[:200]


def _typed_size(size: tuple[int, int]) -> str:
    return f"{size[0]}" if size[0] == size[1] else f"[{size[0]},{size[1]}]"


def _format_size(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
