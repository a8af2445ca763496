"""What a server predicts with: a run, or an exported file alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visionkit.console import Printer
from visionkit.inference.options import PredictOptions
from visionkit.serving.uploads import UploadLimits, UploadPredictor

if TYPE_CHECKING:
    from visionkit.data.findings import Finding
    from visionkit.runs.config import RunConfig
    from visionkit.runs.folder import RunFolder

__all__ = ["ServedFile", "ServedModel", "ServedRun", "open_service"]


@dataclass(frozen=True)
class ServedRun:
    """A run.

    Attributes:
        config: Its configuration.
        folder: Its folder.
    """

    config: RunConfig
    folder: RunFolder

    @property
    def name(self) -> str:
        """What the server is called: the last two parts of the path."""
        return "/".join(self.folder.path.absolute().parts[-2:])

    def load(self, options: PredictOptions, on_note: Any) -> Any:
        """Its `Predictor`."""
        from visionkit.inference.load import load_predictor

        return load_predictor(self.config, self.folder, options=options, on_note=on_note)


@dataclass(frozen=True)
class ServedFile:
    """An exported file.

    Attributes:
        path: The file.
    """

    path: Path

    @property
    def name(self) -> str:
        """What the server is called: the last parts of the path, from the run on where the file lies in one."""
        parts = self.path.absolute().parts
        return "/".join(parts[-4 if "exports" in parts[-3:-2] else -2 :])

    def load(self, options: PredictOptions, on_note: Any) -> Any:
        """Its `Predictor`."""
        from visionkit.inference.load_export import load_export

        return load_export(self.path, options=options, on_note=on_note)


ServedModel = ServedRun | ServedFile


def open_service(
    model: ServedModel, *, limits: UploadLimits, options: Mapping[str, Any], printer: Printer
) -> UploadPredictor:
    """The model for images that are sent.

    Args:
        model: A run or a file.
        limits: What an image may have.
        options: ``value_range``, where it was typed.
        printer: Gets the first finding of each kind about the images.

    Raises:
        UserError: As of `load_predictor` and `load_export`.
    """

    def note(finding: Finding) -> None:
        printer.print(f"note     {finding.text}. {finding.remedy}")

    read = PredictOptions.read({"max_pixels": limits.max_pixels, "value_range": options.get("value_range")})
    return UploadPredictor(model.load(read, note), limits, run=model.name)
