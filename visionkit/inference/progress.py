"""The lines that say how far ``predict`` has come."""

from __future__ import annotations

from rich.control import Control
from rich.segment import ControlType

from visionkit.console import Printer

__all__ = ["PredictProgress"]

_MANY_WINDOWS = 1000
"""From so many windows on an image takes long enough to be announced."""


class PredictProgress:
    """Shows how many images and windows are done, on a terminal in a line that changes.

    Args:
        printer: Where lines go.
        num_images: The number of all images.

    Attributes:
        num_windows: The windows of all images so far.
    """

    def __init__(self, printer: Printer, num_images: int) -> None:
        self._printer, self._num_images = printer, num_images
        self.num_windows = 0

    def image(self, done: int) -> None:
        """So many images are done."""
        self._show(f"{done:,} of {self._num_images:,} images")

    def windows(self, name: str, done: int, total: int) -> None:
        """So many windows of an image are done; a line says when there are many."""
        if not done:
            self.num_windows += total
            if total >= _MANY_WINDOWS:
                self.clear()
                self._printer.print(f"{name}: {total:,} windows")
        self._show(f"{done:,} of {total:,} windows")

    def clear(self) -> None:
        """Take the changing line away."""
        self._show("")

    def _show(self, text: str) -> None:
        console = self._printer.console
        if console.is_terminal:
            console.print(Control((ControlType.ERASE_IN_LINE, 2)), text, Control.move_to_column(0), sep="", end="")
