"""What a training is made of: the facts of its data, its model, the weights it starts from or goes on with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from visionkit.runs.config import RunConfig

__all__ = ["build_model", "data_info", "load_initial_weights"]


def build_model(config: RunConfig, data: Mapping[str, Any]) -> Any:
    """The run's `visionkit.models.VisionModel`, freshly initialised."""
    from visionkit.models import create_model
    from visionkit.runs.checkpoint import model_arguments

    return create_model(**model_arguments(config.plain, data))


def load_initial_weights(model: Any, config: RunConfig, data: dict[str, Any]) -> list[str]:
    """Load the weights that the configuration names; if they come with a mean and std, these become the run's.

    Args:
        model: As `build_model` made it.
        config: The configuration.
        data: The facts of the data; ``mean`` and ``std`` are replaced.

    Returns:
        Lines for the person who trains.

    Raises:
        UserError: If there are no such weights, they cannot be read, or do not fit.
    """
    from visionkit.models.weights.load import load_initial_weights

    start = load_initial_weights(model, weights=config.weights, backbone_weights=config.backbone.weights)
    if start.mean_std is not None:
        data["mean"], data["std"] = map(list, start.mean_std)
    if config.weights is None and config.backbone.weights is None:
        return []
    what = config.weights or f"{config.backbone.weights}, in the backbone alone"
    mean, std = (" ".join(f"{value:.4g}" for value in data[key]) for key in ("mean", "std"))
    whose = "the data's" if start.mean_std is None else "their own"
    return [f"{what}; {whose} mean {mean}, std {std}", *(note.removeprefix("weights: ") for note in start.notes)]


def data_info(config: RunConfig, datamodule: Any) -> dict[str, Any]:
    """What a model must know of its data, as ``data.json`` keeps it."""
    info = datamodule.info
    return {
        "name": info.name,
        "class_names": list(info.class_names),
        "in_channels": info.in_channels,
        "image_size": list(info.image_size),
        "mean": list(info.mean),
        "std": list(info.std),
        "category_ids": None if info.category_ids is None else list(info.category_ids),
        "class_weights": _balanced(datamodule) if config.plain["head"].get("class_weights") == "balanced" else None,
    }


def _balanced(datamodule: Any) -> list[float]:
    """Weights inverse to the classes' frequencies, 1 on average over the images; 0 for a class without images."""
    counts = datamodule.class_counts().tolist()
    present = sum(count > 0 for count in counts)
    return [sum(counts) / (present * count) if count else 0.0 for count in counts]
