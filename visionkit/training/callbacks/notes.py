"""Prints what became known of the data when the loaders were made."""

from collections.abc import Callable
from typing import Any

import lightning.pytorch as pl

__all__ = ["NotesCallback"]


class NotesCallback(pl.Callback):
    """Calls a function when training starts, and its loader is there.

    Args:
        announce: Prints notes about the data that were not printed yet.
    """

    def __init__(self, announce: Callable[[], Any]) -> None:
        self.announce = announce

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Call it."""
        self.announce()
