"""TensorBoard."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import TensorBoardLogger

__all__ = ["TensorBoardRun"]


class TensorBoardRun(TensorBoardLogger):
    """Event files; a run that goes on adds one. The settings lie among the hyper-parameters, with the results."""

    def begin_run(self, settings: Mapping[str, Any]) -> None:
        """As text: hyper-parameters need results."""
        lines = "\n".join(f"    {key}: {value}" for key, value in settings.items())
        self.experiment.add_text("settings", lines)

    def log_results(self, settings: Mapping[str, Any], results: Mapping[str, float]) -> None:
        """The hyper-parameters with the final numbers."""
        self.log_hyperparams(dict(settings), {f"final/{name}": value for name, value in results.items()})

    def log_picture(self, name: str, file: Path) -> None:
        """See `visionkit.training.tracking.base.TrackedRun.log_picture`."""
        import numpy as np
        from PIL import Image

        with Image.open(file) as image:
            self.experiment.add_image(f"plots/{name}", np.asarray(image.convert("RGB")), dataformats="HWC")

    def end_run(self, *, is_done: bool) -> None:
        """Close the file."""
        self.experiment.close()
