"""Going back to the last checkpoint within a run: ``recipe.on_nan=rollback``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from torch import Tensor

from visionkit.distributed.comm import barrier
from visionkit.runs.checkpoint_file import read_checkpoint
from visionkit.training.callbacks.divergence import MAX_COUNT, StopOnDivergence
from visionkit.training.callbacks.nan_guard import RollBack, RollBackOnNan, SkipOnNan
from visionkit.training.messages import announce_note
from visionkit.training.resume import resume_checkpoint

if TYPE_CHECKING:
    from visionkit.runs.folder import RunFolder
    from visionkit.training.setup import RunSetup

__all__ = ["Attempt", "fit_with_rollbacks"]

T = TypeVar("T")


@dataclass(frozen=True)
class Attempt:
    """One training of a run, which goes back and begins another where numbers are not finite.

    Attributes:
        run: The run.
        resume_from: Its folder, if there is a checkpoint to go on from.
        rollbacks: How often this process has gone back.
        seconds: Those of training before it that no checkpoint knows of.
    """

    run: RunSetup
    resume_from: RunFolder | None
    rollbacks: int = 0
    seconds: float = 0.0
    _initial: dict[str, Tensor] = field(default_factory=dict)

    def divergence_callback(self) -> StopOnDivergence:
        """What looks for numbers that are not finite, as the recipe says."""
        file, kind = self.run.folder.nan_batch_file, self.run.config.recipe.on_nan
        if kind == "stop":
            return StopOnDivergence(file, rollbacks=self.rollbacks)
        callback = SkipOnNan if kind == "skip" else RollBackOnNan
        return callback(file, announce=lambda note: announce_note(self.run, note), rollbacks=self.rollbacks)

    def after(self, back: RollBack) -> Attempt:
        """The next attempt, with the weights of the last checkpoint; without one, those of the beginning."""
        run = self.run
        has_checkpoint = run.folder.last_checkpoint.exists() or run.folder.best_checkpoint.exists()
        if has_checkpoint:
            checkpoint = read_checkpoint(resume_checkpoint(run.folder))
            weights, point = checkpoint.weights, f"the checkpoint of epoch {checkpoint.epoch + 1}"
        else:
            weights, point = self._initial, "the beginning of the run"
            if run.distillation is not None:
                run.distillation.reset()
        run.model.load_state_dict(weights)
        announce_note(
            run,
            f"{back.note}. The run goes back to {point}, with rates {0.5**back.count:g} times those of the recipe "
            f"({back.count} of {MAX_COUNT} at most)",
        )
        return Attempt(run, run.folder if has_checkpoint else None, back.count, back.seconds, self._initial)


def fit_with_rollbacks(run: RunSetup, resume_from: RunFolder | None, fit: Callable[[Attempt], T]) -> T:
    """Call a training until it does not ask to go back.

    Args:
        run: The run.
        resume_from: The run to resume; None for a new one.
        fit: Trains; raises `RollBack` to go back.
    """
    may_go_back = run.config.recipe.on_nan == "rollback"
    initial = {name: value.cpu().clone() for name, value in run.model.state_dict().items()} if may_go_back else {}
    attempt = Attempt(run, resume_from, _initial=initial)
    while True:
        try:
            return fit(attempt)
        except RollBack as back:
            barrier()  # no process reads a checkpoint that another may still write
            attempt = attempt.after(back)
