"""Judging a model on one split: the same way after training and by ``evaluate``."""

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from visionkit.console import Printer, number_table, print_json
from visionkit.distributed.comm import barrier, rank
from visionkit.distributed.processes import Processes
from visionkit.errors import ExitCode, UserError, did_you_mean
from visionkit.metrics.table import Table
from visionkit.models.prepare import prepare_model
from visionkit.registry import load
from visionkit.runs.checkpoint import check_data, check_splits, load_run_model, read_data_info
from visionkit.runs.config import RunConfig
from visionkit.runs.folder import RunFolder
from visionkit.settings import Debug, Hardware
from visionkit.tasks.base import VisionTask
from visionkit.training.trainer import make_trainer, quiet

__all__ = ["Evaluation", "evaluate_run", "evaluate_split", "final_numbers"]


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


def evaluate_run(config: RunConfig, folder: RunFolder, processes: Processes, *, split: str | None = None) -> int:
    """Judge the best epoch of a run on the data it was trained for, and print the numbers; nothing is written.

    Args:
        config: The run's configuration, perhaps with another ``hardware``, ``dataset.root`` or ``format``.
        folder: The run.
        processes: Those this one is one of.
        split: ``train``, ``val`` or ``test``; None takes test where there is one.

    Returns:
        0.

    Raises:
        UserError: If the run or the split is not there, the weights do not fit, the data are of another kind than
            those the model was trained on, or their division is lost.
    """
    with processes.process_group():
        evaluation, notes = _evaluate(config, folder, processes, split=split)
        if rank() == 0:
            printer = Printer(to_stderr=config.format == "json")
            printer.print(*notes)
            printer.print(number_table(evaluation.numbers, title=f"{evaluation.split} split of {folder.path}"))
            if config.format == "json":
                print_json({"run": str(folder.path), "split": evaluation.split, "metrics": evaluation.numbers})
        barrier()
    return ExitCode.DONE


def _evaluate(
    config: RunConfig, folder: RunFolder, processes: Processes, *, split: str | None
) -> tuple[Evaluation, list[str]]:
    """The evaluation, and what a person should know of the data."""
    class_names = tuple(read_data_info(folder)["class_names"])
    model = load_run_model(folder)
    config.source.check(strict=config.strict)
    datamodule = config.datamodule(folder.splits_file if folder.splits_file.exists() else None)
    datamodule.prepare_data()
    check_data(folder, datamodule.info)
    check_splits(folder, datamodule)
    datamodule.setup("test")
    task = load(config.task.module)(prepare_model(model, config.hardware), class_names=class_names)
    evaluation = evaluate_split(
        task,
        datamodule,
        split=split or ("test" if "test" in datamodule.sizes else "val"),
        hardware=config.hardware,
        accelerator=processes.accelerator,
        debug=config.debug,
        processes=processes,
    )
    return evaluation, datamodule.notes
