"""The model of a training, its initial weights, and the facts about the data that it depends on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from visionkit.runs.config import RunConfig

__all__ = ["data_info", "initialize_weights"]


def initialize_weights(model: Any, config: RunConfig, data: dict[str, Any]) -> list[str]:
    """Load the weights named in the configuration; their mean and std, if they have any, become the run's.

    Args:
        model: The result of `visionkit.runs.checkpoint.build_run_model`.
        config: The configuration.
        data: The result of `data_info`; its ``mean`` and ``std`` are replaced.

    Returns:
        Lines to print.

    Raises:
        UserError: If the weights do not exist, cannot be read, or do not fit.
    """
    from visionkit.models.weights.load import load_initial_weights

    loaded = load_initial_weights(model, weights=config.weights, backbone_weights=config.backbone.weights)
    if loaded.mean_std is not None:
        data["mean"], data["std"] = map(list, loaded.mean_std)
    if config.weights is None and config.backbone.weights is None:
        return []
    source = config.weights or f"{config.backbone.weights}, in the backbone alone"
    mean, std = (" ".join(f"{value:.4g}" for value in data[key]) for key in ("mean", "std"))
    origin = "the data's" if loaded.mean_std is None else "their own"
    return [f"{source}; {origin} mean {mean}, std {std}", *(note.removeprefix("weights: ") for note in loaded.notes)]


def data_info(config: RunConfig, datamodule: Any) -> dict[str, Any]:
    """The facts about the data that a model depends on: the content of ``data.json``."""
    info = datamodule.info
    balanced = getattr(config.head, "class_weights", None) == "balanced"
    return {
        "name": info.name,
        "class_names": list(info.class_names),
        "in_channels": info.in_channels,
        "image_size": list(info.image_size),
        "mean": list(info.mean),
        "std": list(info.std),
        "value_range": None if datamodule.value_range is None else list(datamodule.value_range),
        "category_ids": None if info.category_ids is None else list(info.category_ids),
        "class_weights": _balanced_class_weights(datamodule) if balanced else None,
    }


def _balanced_class_weights(datamodule: Any) -> list[float]:
    """Weights inverse to class frequencies, 1 on average over all counted items; 0 for a class without any."""
    counts = datamodule.class_counts().tolist()
    present = sum(count > 0 for count in counts)
    return [sum(counts) / (present * count) if count else 0.0 for count in counts]
