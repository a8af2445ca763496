"""The verb ``evaluate``: the numbers of a finished run on one of its splits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from visionkit.console import Printer
from visionkit.runs.folder import RunFolder

if TYPE_CHECKING:
    from visionkit.distributed.processes import Processes
    from visionkit.runs.config import RunConfig

__all__ = ["evaluate"]


def evaluate(config: RunConfig, folder: RunFolder, *, split: str | None = None) -> int:
    """Judge the best epoch of a run on the data it was trained for; nothing is written.

    Args:
        config: The run's configuration, perhaps with another ``hardware``, ``dataset.root`` or ``format``.
        folder: The run.
        split: ``train``, ``val`` or ``test``; None takes test where there is one.

    Returns:
        0, or 130 after Ctrl-C in several processes.

    Raises:
        UserError: If the run or the split is not there, the weights do not fit, the data are of another kind than
            those the model was trained on, or their division is lost.
        ProcessError: If one of several processes failed.
    """
    from visionkit.distributed.processes import Processes

    processes = Processes.plan(config.hardware)
    if processes.to_launch:
        from visionkit.distributed.launch import launch

        words = {"folder": str(folder.path), "split": split}
        return launch("evaluate", config.plain, words, processes=processes, hardware=config.hardware)
    with processes.joined():
        return _evaluate(config, folder, split, processes)


def _evaluate(config: RunConfig, folder: RunFolder, split: str | None, processes: Processes) -> int:
    from visionkit.console import number_table, print_json
    from visionkit.distributed.comm import barrier, rank
    from visionkit.models.prepare import prepare_model
    from visionkit.runs.checkpoint import check_data, check_splits, load_run_model, read_data_info
    from visionkit.tasks.create import TASK_CLASSES
    from visionkit.training.evaluation import evaluate_split

    names = tuple(read_data_info(folder)["class_names"])
    model = load_run_model(folder)
    config.source.check(strict=config.strict)
    datamodule = config.datamodule(folder.splits_file if folder.splits_file.exists() else None)
    datamodule.prepare_data()
    check_data(folder, datamodule.info)
    check_splits(folder, datamodule)
    datamodule.setup("test")
    chosen = split or ("test" if "test" in datamodule.sizes else "val")
    task = TASK_CLASSES[config.task.name](prepare_model(model, config.hardware), class_names=names)
    evaluation = evaluate_split(
        task,
        datamodule,
        split=chosen,
        hardware=config.hardware,
        accelerator=processes.accelerator,
        debug=config.debug,
        processes=processes,
    )
    if rank() != 0:
        barrier()
        return 0
    printer = Printer(to_stderr=config.format == "json")
    printer.say(*datamodule.notes)
    printer.say(number_table(evaluation.numbers, title=f"{chosen} split of {folder.path}"))
    if config.format == "json":
        print_json({"run": str(folder.path), "split": chosen, "metrics": evaluation.numbers})
    barrier()
    return 0
