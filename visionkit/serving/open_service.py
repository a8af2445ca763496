"""Opens a run for a server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from visionkit.console import Printer
from visionkit.inference.load import load_predictor
from visionkit.inference.options import PredictOptions
from visionkit.serving.uploads import UploadLimits, UploadPredictor

if TYPE_CHECKING:
    from visionkit.runs.config import RunConfig
    from visionkit.runs.folder import RunFolder

__all__ = ["open_service"]


def open_service(
    config: RunConfig, folder: RunFolder, *, limits: UploadLimits, options: Mapping[str, Any], printer: Printer
) -> UploadPredictor:
    """The model of a run for images that are sent.

    Args:
        config: The run's configuration.
        folder: Its folder.
        limits: What an image may have.
        options: ``value_range``, where it was typed.
        printer: Gets the first finding of each kind about the images.

    Raises:
        UserError: As of `load_predictor`.
    """
    read = PredictOptions.read({"max_pixels": limits.max_pixels, "value_range": options.get("value_range")})
    predictor = load_predictor(
        config, folder, options=read, on_note=lambda finding: printer.print(f"mind     {finding.note}")
    )
    return UploadPredictor(predictor, limits, run="/".join(folder.path.absolute().parts[-2:]))
