"""The callbacks of a training run, in the order in which Lightning calls them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from visionkit.distributed.launch import is_worker
from visionkit.settings import SaveInterval
from visionkit.training.callbacks.configured import make_callbacks
from visionkit.training.callbacks.display import ProgressDisplay
from visionkit.training.callbacks.interrupt import Interrupt
from visionkit.training.callbacks.notes import NotesCallback
from visionkit.training.callbacks.progress import Progress
from visionkit.training.callbacks.recorder import Recorder
from visionkit.training.callbacks.time_limit import TimeLimit
from visionkit.training.messages import new_notes

if TYPE_CHECKING:
    from lightning.pytorch import Callback

    from visionkit.training.rollback import Attempt
    from visionkit.training.tracking.run import RunTracking

__all__ = ["RunCallbacks", "make_run_callbacks"]


@dataclass(frozen=True)
class RunCallbacks:
    """The callbacks of a run.

    Attributes:
        in_order: All of them, those of the person last.
        recorder: Writes the results and checkpoints of each epoch.
        interrupt: A context that handles signals; saves within epochs.
        time_limit: Ends the training after some time.
    """

    in_order: list[Callback]
    recorder: Recorder
    interrupt: Interrupt
    time_limit: TimeLimit


def make_run_callbacks(attempt: Attempt, callbacks: Sequence[Callback], tracking: RunTracking) -> RunCallbacks:
    """The callbacks of an attempt to train a run.

    Args:
        attempt: The run, and how often it went back.
        callbacks: Those of the person.
        tracking: The loggers of the run.
    """
    run = attempt.run
    recipe, folder, printer = run.config.recipe, run.folder, run.printer
    progress = Progress(ProgressDisplay(printer, epochs=recipe.epochs))
    limit = TimeLimit(recipe.max_time, folder.last_checkpoint, spent_before=attempt.seconds)
    recorder = Recorder(folder, run.config.task, progress, time_limit=limit)
    every = recipe.checkpoint_every
    interrupt = Interrupt(
        folder.last_checkpoint, printer.announce, is_worker=is_worker(), check_folder=folder.check_present,
        every=None if every is None else SaveInterval.parse(every), time_limit=limit,
    )  # fmt: skip
    notes = NotesCallback(lambda: printer.print(*new_notes(run)))
    divergence = attempt.divergence_callback()
    in_order = [progress, divergence, interrupt, recorder, limit, *tracking.callbacks(progress), notes]
    return RunCallbacks(in_order + make_callbacks(run.config.callbacks) + list(callbacks), recorder, interrupt, limit)
