"""What a logger of visionkit's can do beside what Lightning asks of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

__all__ = ["TrackedRun"]


@runtime_checkable
class TrackedRun(Protocol):
    """A logger that takes a run's settings, results and pictures; each is called in the first process alone."""

    def begin_run(self, settings: Mapping[str, Any]) -> None:
        """Log the settings of a run that begins or goes on, dotted keys to plain values."""

    def log_results(self, settings: Mapping[str, Any], results: Mapping[str, float]) -> None:
        """Log the final numbers."""

    def log_picture(self, name: str, file: Path) -> None:
        """Log a PNG file."""

    def end_run(self, *, is_done: bool) -> None:
        """Write everything; what comes later is not logged.

        Args:
            is_done: Whether the run has been trained and tested.
        """
