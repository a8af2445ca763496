"""What goes with an exported file, in the file itself and beside it: classes, and how images are read and resized."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from visionkit.data.transforms import SIZE_DIVISIBILITY
from visionkit.export.options import ExportOptions
from visionkit.models.export_info import EXPORT_FORMAT
from visionkit.report.drawing.detect import MIN_SCORE
from visionkit.runs.exports import weights_digest
from visionkit.runs.paths import RunPaths

if TYPE_CHECKING:
    from visionkit.inference.predictor import Predictor

__all__ = ["describe_export", "has_script"]


def describe_export(predictor: Predictor, options: ExportOptions) -> dict[str, Any]:
    """The content of ``classes.json`` and of the metadata of a file, see `visionkit.models.export_info.ExportInfo`."""
    data, inference = predictor.data, predictor.inference
    return {
        "format": EXPORT_FORMAT,
        "task": predictor.task,
        "class_names": list(predictor.class_names),
        "category_ids": list(predictor.category_ids),
        "in_channels": data["in_channels"],
        "value_range": data.get("value_range"),
        "max_pixels": predictor.reader.max_pixels,
        "resize": asdict(inference.transform),
        "dynamic_size": options.size == "dynamic",
        "size_multiple": SIZE_DIVISIBILITY if inference.transform.mode == "resize_pad" else 1,
        "batch_size": predictor.batch_size,
        "max_detections": inference.max_detections,
        "min_score": MIN_SCORE,
        "decode": options.decode,
        "weights": None if predictor.path is None else weights_digest(RunPaths(predictor.path)),
    }


def has_script(info: Mapping[str, Any]) -> bool:
    """Whether the script reads what the file takes: Pillow's pictures of 8 bits, for predictions.

    Args:
        info: The content of ``classes.json``.
    """
    return bool(info["decode"] and info["value_range"] is None and info["in_channels"] in (1, 3))
