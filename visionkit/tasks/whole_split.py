"""Whether an evaluation has had all its batches."""

from __future__ import annotations

from typing import Any

from visionkit.data.loader import BatchLoader
from visionkit.errors import UserError

__all__ = ["check_whole"]


def check_whole(trainer: Any, loader: Any, *, split: str) -> None:
    """Check that an evaluation has had all its batches.

    Args:
        trainer: Lightning's, at the end of the split.
        loader: That of the split.
        split: ``val`` or ``test``.

    Raises:
        UserError: If it has not, and its numbers would be those of some images.
    """
    is_own = trainer.state.fn == "validate"
    val_loop = trainer.validate_loop if is_own else trainer.fit_loop.epoch_loop.val_loop
    loop = trainer.test_loop if split == "test" else val_loop
    num_batches, planned = loop.batch_progress.current.completed, sum(loop.max_batches)
    if isinstance(loader, BatchLoader):  # of several processes one may have fewer batches, or none
        planned = min(planned, loader.num_yielded)
    if num_batches < planned:
        raise UserError(
            f"{split} ended after {num_batches} of {planned} batches: a callback, head, loss or metric has raised "
            "StopIteration, which Lightning takes for the end of the data. Expected another error."
        )
