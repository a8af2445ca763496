"""Judging a model on one split: the same way after training and by ``evaluate``."""

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from visionkit.distributed.processes import Processes
from visionkit.errors import UserError, did_you_mean
from visionkit.metrics.table import Table
from visionkit.settings import Debug, Hardware
from visionkit.tasks.base import VisionTask
from visionkit.training.trainer import make_trainer, quiet

__all__ = ["Evaluation", "evaluate_split", "final_numbers"]


@dataclass(frozen=True)
class Evaluation:
    """What one split says about a model.

    Attributes:
        split: ``train``, ``val`` or ``test``.
        numbers: ``<split>/<name>`` to a number.
        tables: Such as ``per_class`` and ``confusion_matrix``.
    """

    split: str
    numbers: dict[str, float]
    tables: dict[str, Table]


def evaluate_split(
    task: VisionTask,
    datamodule: Any,
    *,
    split: str,
    hardware: Hardware,
    accelerator: str,
    debug: Debug,
    processes: Processes | None = None,
) -> Evaluation:
    """Run a model over a split.

    Args:
        task: The model and its metrics.
        datamodule: A `VisionDataModule` after ``setup``.
        split: ``train`` (without augmentation), ``val`` or ``test``.
        hardware: Precision.
        accelerator: ``cuda``, ``mps`` or ``cpu``.
        debug: Limits.
        processes: Those that share the split; None where this one has it all.

    Raises:
        UserError: If there is no such split; the message lists those there are.
    """
    known = list(datamodule.sizes)
    if split not in known:
        raise UserError(
            f"split: found '{split}', but data set '{datamodule.info.name}' has no such split. "
            f"Expected one of: {', '.join(known)}.{did_you_mean(split, known)} Try: split=val"
        )
    with quiet():
        trainer = make_trainer(hardware=hardware, accelerator=accelerator, debug=debug, processes=processes)
        datamodule.trainer = trainer
        _test(trainer, task, datamodule.loader(split))
    numbers = {
        name.replace("test/", f"{split}/", 1): value for name, value in task.numbers.items() if name.startswith("test/")
    }
    return Evaluation(split, numbers, task.tables.get("test", {}))


def _test(trainer: Any, task: VisionTask, loader: Any) -> None:
    """As ``trainer.test``, but Ctrl-C stays what it is: Lightning would make an exit of it, and deafen the process."""
    before = signal.getsignal(signal.SIGINT)
    try:
        trainer.test(task, dataloaders=loader, verbose=False)
    except SystemExit as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            signal.signal(signal.SIGINT, before)
            raise KeyboardInterrupt from None
        raise


def final_numbers(
    judged: Mapping[str, float], history: Sequence[Mapping[str, float]], *, best_epoch: int, parameters: int
) -> dict[str, float]:
    """What ``metrics.json`` holds.

    Args:
        judged: The numbers of the split on which the best epoch was judged in the end.
        history: A row per epoch, of which the best gives the validation numbers.
        best_epoch: Counted from 1.
        parameters: How many the model has.
    """
    best_row = next((row for row in history if row["epoch"] == best_epoch), {})
    validated = {name: value for name, value in best_row.items() if name.startswith("val/")}
    return {
        **judged,
        **{name: value for name, value in validated.items() if name not in judged},
        "best_epoch": best_epoch,
        "epochs": len(history),
        "training_seconds": round(sum(row["seconds"] for row in history), 2),
        "parameters": parameters,
    }
