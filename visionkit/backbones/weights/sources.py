"""Where weights to start from lie, and the mean and std that come with them; needs no torch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeGuard, runtime_checkable

from visionkit.backbones.spec import BackboneSpec
from visionkit.errors import UserError, did_you_mean
from visionkit.normalization import IMAGENET_MEAN, IMAGENET_STD

__all__ = [
    "PUBLISHED",
    "MeanStd",
    "WeightSource",
    "Publisher",
    "LoadedWeights",
    "check_weights",
    "find_weights",
    "published_mean_std",
    "publishes_its_own",
    "check_one_source",
]

PUBLISHED = ("imagenet", "imagenet_v1", "imagenet_v2")
"""Words for published weights: the best, the first and the second that there are."""

MeanStd = tuple[tuple[float, ...], tuple[float, ...]]
"""Per channel on the scale 0..1."""

_HALF: MeanStd = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
_NOT_IMAGENETS = {
    # Trained on pixels in -1..1; torchvision's modules bring ImageNet's scale to that one (transform_input).
    "googlenet": _HALF,
    "inception_v3": _HALF,
    "efficientnet_v2_l": _HALF,
}
_RUN = "run:"
_RUN_FILES = ("model.safetensors", "checkpoints/best.ckpt")
_EXPECTED = "Expected imagenet, a .safetensors, .ckpt or .pth file, or run:FOLDER."


@dataclass(frozen=True)
class LoadedWeights:
    """What came with weights that were loaded.

    Attributes:
        mean_std: The normalisation they were trained with, one number per channel of the network; None if unknown.
        notes: What a person should know, such as which weights did not fit and were left out.
    """

    mean_std: MeanStd | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class WeightSource:
    """Where weights lie.

    Attributes:
        source: As it was given.
        file: The file; None for published weights.
        mean_std: The normalisation they were trained with, if it is known before the file is read.
    """

    source: str
    file: Path | None = None
    mean_std: MeanStd | None = None


@runtime_checkable
class Publisher(Protocol):
    """The spec of a backbone whose weights another library publishes; the backbone has a ``load_published()``."""

    weights: str | None

    def published_normalization(self) -> MeanStd | None:
        """The mean and std these weights were trained with."""


def publishes_its_own(spec: BackboneSpec, source: str | Path) -> TypeGuard[Publisher]:
    """Whether a source of weights means those that another library publishes for this backbone."""
    return isinstance(spec, Publisher) and str(source) == "imagenet"


def published_mean_std(model: str) -> MeanStd:
    """What torchvision's published weights of a model were trained with, on three channels."""
    return _NOT_IMAGENETS.get(model, (IMAGENET_MEAN, IMAGENET_STD))


def find_weights(source: str | Path, spec: BackboneSpec, *, key: str = "weights") -> WeightSource:
    """Look where weights lie; nothing is loaded.

    Args:
        source: One of `PUBLISHED`, ``run:FOLDER``, or a file.
        spec: The backbone they are for.
        key: Where ``source`` was given, for messages.

    Raises:
        UserError: If there is nothing there.
    """
    text = str(source)
    if text in PUBLISHED:
        model = (spec.torchvision or {}).get("model")
        if model is None:
            other = (
                "backbone.weights=imagenet" if isinstance(spec, Publisher) else "another backbone=..., such as resnet18"
            )
            raise UserError(
                f"{key}: found '{text}', but there are no published weights of {spec.name}: it has no counterpart in "
                f"torchvision. Expected a file or run:FOLDER, or {other}."
            )
        return WeightSource(text, mean_std=published_mean_std(model))
    if text.startswith(_RUN):
        return _of_run(text, key)
    if Path(text).is_dir():
        raise UserError(f"{key}: '{text}' is a folder. Expected a file; for a run's weights: {key}=run:{text}")
    if not Path(text).is_file():
        raise UserError(f"{key}: file '{text}' does not exist.{did_you_mean(text, PUBLISHED)} {_EXPECTED}")
    return WeightSource(text, file=Path(text))


def check_weights(spec: BackboneSpec, weights: str | Path | None) -> None:
    """Look whether there are the weights that a model is to start from.

    Args:
        spec: Its backbone, perhaps with weights of its own.
        weights: Those of the whole model.

    Raises:
        UserError: If they are not there, or both are given.
    """
    check_one_source(weights, spec.weights)
    if weights is not None:
        find_weights(weights, spec)
    if spec.weights is not None and not publishes_its_own(spec, spec.weights):
        find_weights(spec.weights, spec, key="backbone.weights")


def check_one_source(weights: str | Path | None, backbone_weights: str | Path | None) -> None:
    """A model starts from one file.

    Raises:
        UserError: If weights are given for the whole model and for its backbone.
    """
    if weights is not None and backbone_weights is not None:
        raise UserError(
            f"weights={weights} starts the whole model, and backbone.weights={backbone_weights} its backbone alone. "
            "Give one of both."
        )


def _of_run(source: str, key: str) -> WeightSource:
    folder = Path(source.removeprefix(_RUN)).expanduser()
    file = next((folder / name for name in _RUN_FILES if (folder / name).is_file()), None)
    if file is None:
        found = "there is no such folder" if not folder.is_dir() else f"it has neither {' nor '.join(_RUN_FILES)}"
        raise UserError(
            f"{key}: '{folder}' is no run with weights: {found}. "
            "Expected a folder that train has made, such as run:runs/<task>-<backbone>-<dataset>/<time>."
        )
    try:
        facts: dict[str, Any] = json.loads((folder / "data.json").read_text(encoding="utf-8"))
        mean_std = (tuple(map(float, facts["mean"])), tuple(map(float, facts["std"])))
        if len(mean_std[0]) != len(mean_std[1]) or min(mean_std[1]) <= 0:
            raise ValueError("one std above 0 is wanted for each mean")
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(
            f"{key}: '{folder / 'data.json'}' does not say the run's mean and std. Expected the file that train "
            f"wrote. To load the weights without them: {key}={file}"
        ) from None
    return WeightSource(source, file=file, mean_std=mean_std)
