"""Sources of initial weights, and the mean and std they were trained with; needs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeGuard, runtime_checkable

from visionkit.backbones.spec import BackboneSpec
from visionkit.data_file import read_data_file
from visionkit.errors import UserError, did_you_mean
from visionkit.files import expand_user, similar_path
from visionkit.normalization import IMAGENET_MEAN, IMAGENET_STD

__all__ = [
    "PUBLISHED",
    "LoadedWeights",
    "MeanStd",
    "Publisher",
    "WeightSource",
    "check_one_source",
    "check_weights",
    "find_weights",
    "is_published_by_library",
    "published_mean_std",
]

PUBLISHED = ("imagenet", "imagenet_v1", "imagenet_v2")
"""Names of published weights: torchvision's default, its first and its second version."""

MeanStd = tuple[tuple[float, ...], tuple[float, ...]]
"""Mean and std per channel, for images in 0..1."""

_HALF: MeanStd = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
_OTHER_MEAN_STD = {
    # Trained on pixels in -1..1; torchvision's modules convert ImageNet's normalisation to it (transform_input).
    "googlenet": _HALF,
    "inception_v3": _HALF,
    "efficientnet_v2_l": _HALF,
}
_RUN = "run:"
_RUN_FILES = ("model.safetensors", "checkpoints/best.ckpt")
_EXPECTED = "Expected imagenet, a .safetensors, .ckpt or .pth file, or run:FOLDER."


@dataclass(frozen=True)
class LoadedWeights:
    """The result of loading weights.

    Attributes:
        mean_std: The normalisation they were trained with, one number per channel of the network; None if unknown.
        notes: Messages for the user, such as which weights were adapted or left out.
    """

    mean_std: MeanStd | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class WeightSource:
    """A source of weights, resolved.

    Attributes:
        source: The source as written in the configuration.
        file: The file; None for published weights.
        mean_std: The normalisation they were trained with; None if unknown before the file is read.
    """

    source: str
    file: Path | None = None
    mean_std: MeanStd | None = None


@runtime_checkable
class Publisher(Protocol):
    """Specification of a backbone whose weights a library such as timm publishes; its module has `load_published`."""

    weights: str | None

    def published_normalization(self) -> MeanStd | None:
        """Mean and std of the published weights."""


def is_published_by_library(spec: BackboneSpec, source: str | Path) -> TypeGuard[Publisher]:
    """Whether ``source`` means the weights that a library such as timm publishes for this backbone."""
    return isinstance(spec, Publisher) and str(source) == "imagenet"


def published_mean_std(model: str) -> MeanStd:
    """Mean and std of torchvision's published weights of a model, for three channels."""
    return _OTHER_MEAN_STD.get(model, (IMAGENET_MEAN, IMAGENET_STD))


def find_weights(source: str | Path, spec: BackboneSpec, *, key: str = "weights") -> WeightSource:
    """Resolve a source of weights, without loading them.

    Args:
        source: One of `PUBLISHED`, ``run:FOLDER``, or a file.
        spec: The backbone they are for.
        key: Configuration key of ``source``, for error messages.

    Raises:
        UserError: If there are no such weights.
    """
    text = str(source)
    if text in PUBLISHED:
        model = (spec.torchvision or {}).get("model")
        if model is None:
            alternative = (
                "backbone.weights=imagenet" if isinstance(spec, Publisher) else "another backbone=..., such as resnet18"
            )
            raise UserError(
                f"{key}: found '{text}', but there are no published weights of {spec.name}: it has no counterpart in "
                f"torchvision. Expected a file or run:FOLDER, or {alternative}."
            )
        return WeightSource(text, mean_std=published_mean_std(model))
    if text.startswith(_RUN):
        return _run_weights(text, key)
    if Path(text).is_dir():
        raise UserError(f"{key}: '{text}' is a folder. Expected a file; for a run's weights: {key}=run:{text}")
    if not Path(text).is_file():
        raise UserError(
            f"{key}: file '{text}' does not exist.{did_you_mean(text, PUBLISHED) or similar_path(text)} {_EXPECTED}"
        )
    return WeightSource(text, file=Path(text))


def check_weights(spec: BackboneSpec, weights: str | Path | None) -> None:
    """Check that the initial weights of a model exist.

    Args:
        spec: The backbone, whose ``weights`` are checked, too.
        weights: The weights of the whole model, or None.

    Raises:
        UserError: If they do not exist, or both are set.
    """
    check_one_source(weights, spec.weights)
    if weights is not None:
        find_weights(weights, spec)
    if spec.weights is not None and not is_published_by_library(spec, spec.weights):
        find_weights(spec.weights, spec, key="backbone.weights")


def check_one_source(weights: str | Path | None, backbone_weights: str | Path | None) -> None:
    """Check that weights are set for the whole model or for its backbone, not for both.

    Raises:
        UserError: If both are set.
    """
    if weights is not None and backbone_weights is not None:
        raise UserError(
            f"weights={weights} starts the whole model, and backbone.weights={backbone_weights} its backbone alone. "
            "Give one of both."
        )


def _run_weights(source: str, key: str) -> WeightSource:
    folder = expand_user(source.removeprefix(_RUN))
    file = next((folder / name for name in _RUN_FILES if (folder / name).is_file()), None)
    if file is None:
        problem = "there is no such folder" if not folder.is_dir() else f"it has neither {' nor '.join(_RUN_FILES)}"
        raise UserError(
            f"{key}: '{folder}' is no run with weights: {problem}. "
            "Expected a folder that train has made, such as run:runs/<task>-<backbone>-<dataset>/<time>."
        )
    advice = f"To load the weights without the run's mean and std: {key}={file}"
    data = read_data_file(folder, where=key, advice=advice, required=("mean", "std"))
    mean_std = (tuple(map(float, data["mean"])), tuple(map(float, data["std"])))
    return WeightSource(source, file=file, mean_std=mean_std)
