"""Evaluation of a model on one split, both after training and by ``evaluate``."""

import signal
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback

from visionkit.console import Printer, metrics_table, print_json
from visionkit.data.workers import explain_dead_workers
from visionkit.distributed.comm import barrier, rank
from visionkit.distributed.processes import Processes
from visionkit.errors import UserError, did_you_mean
from visionkit.metrics.evaluation import Evaluation
from visionkit.models.onnx_model import OnnxModel
from visionkit.models.prepare import prepare_model
from visionkit.runs.checkpoint import load_run_model, open_data, read_data_info
from visionkit.runs.config import RunConfig
from visionkit.runs.exports import check_export
from visionkit.runs.folder import RunFolder
from visionkit.settings import Debug, Hardware
from visionkit.tasks.base import VisionTask
from visionkit.tasks.build import build_task
from visionkit.training.caller_state import keep_caller_state
from visionkit.training.payload import check_not_imported
from visionkit.training.trainer import make_trainer, quiet, raising_interrupts

__all__ = ["evaluate_run", "evaluate_split", "final_metrics"]


def evaluate_split(
    task: VisionTask,
    datamodule: Any,
    *,
    split: str,
    hardware: Hardware,
    accelerator: str,
    debug: Debug,
    processes: Processes | None = None,
    callbacks: Sequence[Callback] = (),
) -> Evaluation:
    """Evaluate a model on a split.

    Args:
        task: The model and its metrics.
        datamodule: A `VisionDataModule` after ``setup``.
        split: ``train`` (without augmentation), ``val`` or ``test``.
        hardware: The precision is used.
        accelerator: ``cuda``, ``mps`` or ``cpu``.
        debug: The limit of batches is used.
        processes: The processes that share the split; None for a single one.
        callbacks: Lightning callbacks, of which those of a test are called.

    Raises:
        UserError: If the data set has no such split.
    """
    splits = list(datamodule.sizes)
    if split not in splits:
        raise UserError(
            f"split: found '{split}', but data set '{datamodule.info.name}' has no such split. "
            f"Expected one of: {', '.join(splits)}.{did_you_mean(split, splits)} Try: split=val"
        )
    with quiet(), explain_dead_workers():
        trainer = make_trainer(
            hardware=hardware, accelerator=accelerator, debug=debug, processes=processes, callbacks=callbacks
        )
        datamodule.trainer = trainer
        _test(trainer, task, datamodule.loader(split))
    scalars = {
        name.replace("test/", f"{split}/", 1): value for name, value in task.scalars.items() if name.startswith("test/")
    }
    return Evaluation(split, scalars, task.tables.get("test", {}))


def _test(trainer: Any, task: VisionTask, loader: Any) -> None:
    """As ``trainer.test``, but Ctrl-C stays a KeyboardInterrupt, which Lightning turns into SystemExit."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        with raising_interrupts():
            trainer.test(task, dataloaders=loader, verbose=False)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, handler)
        raise


def final_metrics(
    test_scalars: Mapping[str, float], history: Sequence[Mapping[str, float]], *, best_epoch: int, num_parameters: int
) -> dict[str, float]:
    """The content of ``metrics.json``.

    Args:
        test_scalars: Losses and metrics of the best epoch on the split it was evaluated on after training.
        history: A row per epoch; the best epoch's gives the validation metrics.
        best_epoch: Counted from 1.
        num_parameters: Of the model.
    """
    best_row = next((row for row in history if row["epoch"] == best_epoch), {})
    val_scalars = {name: value for name, value in best_row.items() if name.startswith("val/")}
    return {
        **test_scalars,
        **{name: value for name, value in val_scalars.items() if name not in test_scalars},
        "best_epoch": best_epoch,
        "epochs": len(history),
        "training_seconds": round(sum(row["seconds"] for row in history), 2),
        "parameters": num_parameters,
    }


def evaluate_run(
    config: RunConfig,
    folder: RunFolder,
    processes: Processes,
    *,
    split: str | None = None,
    onnx_file: Path | None = None,
    printer: Printer | None = None,
) -> Evaluation:
    """Evaluate the best epoch of a run on its data set and print the metrics; nothing is written.

    Args:
        config: The run's configuration, perhaps with another ``hardware``, ``dataset.root`` or ``format``.
        folder: The run folder.
        processes: The processes that share the split.
        split: ``train``, ``val`` or ``test``; None for test if the data set has one, else val.
        onnx_file: An exported file of the run that is evaluated in the place of its checkpoint.
        printer: The output of the first process, if not the default one.

    Raises:
        UserError: If the run or the split does not exist, the weights do not fit, or the data set or its splits differ
            from those of the training; or if the exported file is of another run or older than its weights.
    """
    check_not_imported()
    with keep_caller_state(), processes.process_group():
        evaluation, notes = _evaluate(config, folder, processes, split=split, onnx_file=onnx_file)
        if rank() == 0:
            printer = printer or Printer(to_stderr=config.format == "json")
            printer.print(*notes)
            measured = onnx_file or folder.path
            printer.print(metrics_table(evaluation.scalars, title=f"{evaluation.split} split of {measured}"))
            if config.format == "json":
                file = {} if onnx_file is None else {"file": str(onnx_file)}
                document = {"run": str(folder.path), **file, "split": evaluation.split, "metrics": evaluation.scalars}
                print_json(document)
        barrier()
    return evaluation


def _evaluate(
    config: RunConfig, folder: RunFolder, processes: Processes, *, split: str | None, onnx_file: Path | None
) -> tuple[Evaluation, list[str]]:
    """The evaluation, and notes about the data for the user."""
    data = read_data_info(folder)
    class_names = tuple(data["class_names"])
    config = replace(config, source=config.source.with_value_range(data.get("value_range")))
    model = load_run_model(folder, config.objects) if onnx_file is None else _open_export(onnx_file, config, folder)
    datamodule = open_data(config, folder)
    datamodule.setup("test")
    if onnx_file is None:
        model = prepare_model(model, config.hardware)
    task = build_task(config.task, model, class_names=class_names, extra=config.metrics)
    evaluation = evaluate_split(
        task,
        datamodule,
        split=split or ("test" if "test" in datamodule.sizes else "val"),
        hardware=config.hardware,
        accelerator=processes.accelerator,
        debug=config.debug,
        processes=processes,
    )
    notes = [] if onnx_file is None else ["computed by onnxruntime on the CPU; an exported file has no losses"]
    return evaluation, [*datamodule.notes, *notes]


def _open_export(file: Path, config: RunConfig, folder: RunFolder) -> OnnxModel:
    model = OnnxModel(file)
    check_export(model.export_info, folder, task=config.task.name, file=file)
    return model
