"""The verb ``train``: from a validated configuration to a run folder with a tested model."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from visionkit.commands.preparation import build_model
from visionkit.commands.prepared import PreparedRun, check_processes, launch_training, prepare

if TYPE_CHECKING:
    from lightning.pytorch import Callback

    from visionkit.commands.run_config import RunConfig
    from visionkit.data.shared import SharedData
    from visionkit.tasks.base import VisionTask
    from visionkit.training.callbacks.recorder import Recorder
    from visionkit.training.console import Printer
    from visionkit.training.evaluation import Evaluation
    from visionkit.training.processes import Processes
    from visionkit.training.run_folder import RunFolder

__all__ = ["train"]

INTERRUPTED = 130


def train(
    config: RunConfig,
    *,
    resume_from: RunFolder | None = None,
    callbacks: Sequence[Callback] = (),
    printer: Printer | None = None,
    shared: SharedData | None = None,
) -> int:
    """Train, test the best epoch, and leave everything in the run folder.

    Args:
        config: The validated configuration; where a run goes on, it replaces that run's ``config.yaml``.
        resume_from: A run that is continued in its own folder from its last checkpoint; None for a new one.
        callbacks: Lightning callbacks that look on beside the run's own, after them; in one process.
        printer: Says less, or elsewhere, than a run by itself; in one process.
        shared: The data that earlier runs in this process have read; in one process.

    Returns:
        0, or 130 after Ctrl-C; of several processes, the exit code of the first that failed.

    Raises:
        UserError: For what the user can mend; until training begins, nothing is written.
    """
    if resume_from is None:
        config.check_start()

    from visionkit.training.processes import Processes

    processes = Processes.plan(config.hardware)
    check_processes(config, processes, watched=bool(callbacks))
    if processes.to_launch:
        return launch_training(config, resume_from, processes)
    with processes.joined():
        return _train(config, resume_from, processes, callbacks=callbacks, printer=printer, shared=shared)


def _train(
    config: RunConfig,
    resume_from: RunFolder | None,
    processes: Processes,
    *,
    callbacks: Sequence[Callback],
    printer: Printer | None,
    shared: SharedData | None,
) -> int:
    from visionkit.collective import barrier, rank
    from visionkit.training.callbacks.interrupt import Interrupted

    run = prepare(config, resume_from, processes, printer=printer, shared=shared)
    _say_header(run)
    try:
        recorder, task = _fit(run, resume_from, callbacks)
    except Interrupted as stop:
        if rank() == 0:
            _after_interrupt(run, saved=stop.saved)
        if stop.together:
            barrier()
        return INTERRUPTED
    if config.hardware.strategy == "fsdp" and processes.count > 1:  # what was trained lies in parts everywhere
        run = replace(run, model=build_model(config, run.data))
        task = _make_task(run, epochs=1)
    evaluation, best_epoch = _test(run, task)
    if rank() == 0:
        _finish(run, recorder, evaluation, best_epoch)
    barrier()  # a process that ends is taken for the end of the run
    return 0


def _say_header(run: PreparedRun) -> None:
    from visionkit.training.hardware import device_name

    config, sizes = run.config, run.datamodule.sizes
    parameters = sum(parameter.numel() for parameter in run.model.parameters())
    height, width = run.data["image_size"]
    lines = [
        f"model    {config.backbone.name}, {parameters:,} parameters",
        f"data     {run.data['name']}: {', '.join(f'{split} {size:,}' for split, size in sizes.items())}; "
        f"{len(run.data['class_names'])} classes, {run.data['in_channels']}x{height}x{width}",
        *(f"         {note}" for note in _new_notes(run)),
        *(f"weights  {line}" for line in run.start),
        *_division(run),
        f"device   {device_name(run.processes.accelerator)}, precision {config.hardware.precision}",
        f"folder   {run.folder.path}",
    ]
    if config.debug.limit_batches is not None:
        lines.append(
            f"debug    {config.debug.limit_batches} batches of each split: the figures say nothing of the model"
        )
    run.printer.say(*lines)


def _division(run: PreparedRun) -> list[str]:
    """How the work is shared, where it is."""
    from visionkit.layers.sync_batch_norm import foreign_batch_norms

    processes, size = run.processes, run.config.recipe.batch_size
    if processes.count == 1:
        return []
    machines = f"{processes.num_nodes} machines x " if processes.num_nodes > 1 else ""
    lines = [f"batch    {size} = {machines}{processes.per_node} processes x {size // processes.count}"]
    foreign = foreign_batch_norms(run.model) if run.config.hardware.sync_batch_norm else 0
    if foreign:
        lines.append(f"         {foreign} batch norms are no torch layers: each process has its own statistics of them")
    return lines


def _new_notes(run: PreparedRun) -> list[str]:
    """What has become known of the data since it was last asked: files that are read later may prove broken."""
    new = [note for note in run.datamodule.notes if note not in run.notes]
    run.notes.extend(new)
    return new


def _fit(run: PreparedRun, resume_from: RunFolder | None, callbacks: Sequence[Callback]) -> tuple[Recorder, VisionTask]:
    from visionkit.collective import rank, share_state
    from visionkit.training.callbacks.display import Display
    from visionkit.training.callbacks.divergence import Divergence
    from visionkit.training.callbacks.interrupt import Interrupt
    from visionkit.training.callbacks.progress import Progress
    from visionkit.training.callbacks.recorder import Recorder
    from visionkit.training.environment import describe_environment
    from visionkit.training.launch import launched
    from visionkit.training.trainer import make_trainer, quiet

    config, folder = run.config, run.folder
    if rank() == 0:
        folder.write_json(folder.environment_file, describe_environment())
    epochs = config.debug.epochs or config.recipe.epochs
    progress = Progress(Display(run.printer, epochs=epochs))
    recorder = Recorder(folder, config.task, progress)
    interrupt = Interrupt(folder.last_checkpoint, run.printer.report, launched=launched())
    share_state(run.model)  # weights that training starts from have been read by the first process alone
    task = _make_task(run, epochs=epochs)
    behind = len(recorder.history)
    with quiet(), interrupt:
        trainer = make_trainer(
            hardware=config.hardware,
            accelerator=run.processes.accelerator,
            debug=config.debug,
            processes=run.processes,
            recipe=config.recipe,
            folder=folder,
            logger=config.logger,
            info=config.task,
            callbacks=[progress, Divergence(), interrupt, recorder, *callbacks],
        )
        began = time.perf_counter()
        trainer.fit(
            task,
            datamodule=run.datamodule,
            ckpt_path=None if resume_from is None else str(folder.last_checkpoint),
        )
    seconds, trained = time.perf_counter() - began, len(recorder.history)
    # Nothing but early stopping asks the Trainer to stop.
    early = f", stopped early after epoch {trained}" if trainer.should_stop and trained < epochs else ""
    what = f"trained for {seconds:.1f} s{early}" if trained > behind else f"all {trained} epochs were trained before"
    run.printer.say(f"{what}; best epoch {recorder.best_epoch}", *_new_notes(run))
    if rank() == 0:
        _draw_training(run, recorder, progress.first_batch)
    return recorder, task


def _make_task(run: PreparedRun, *, epochs: int) -> VisionTask:
    from visionkit.tasks.create import TASK_CLASSES
    from visionkit.training.hardware import prepare_model
    from visionkit.training.optim import make_optimizer, make_schedule

    recipe = run.config.recipe
    # The scaler of 16-bit training cannot clip the gradients of a fused optimizer, and parts have no fused kernels.
    scaled = run.config.hardware.precision == "16" and recipe.clip_norm is not None
    fused = not scaled and run.config.hardware.strategy != "fsdp"
    return TASK_CLASSES[run.config.task.name](
        prepare_model(run.model, run.config.hardware),
        class_names=tuple(run.data["class_names"]),
        optimizer_fn=lambda model: make_optimizer(model, settings=recipe.optimizer, lr=recipe.lr, fused=fused),
        schedule_fn=make_schedule(recipe, epochs=epochs),
        hyper_parameters=run.config.plain,
    )


def _test(run: PreparedRun, task: VisionTask) -> tuple[Evaluation, int]:
    """Test the best epoch, once."""
    from visionkit.collective import rank, share_state
    from visionkit.training.checkpoint import export_best, load_best
    from visionkit.training.evaluation import evaluate_split

    best_epoch = 0
    if rank() == 0:
        best_epoch = load_best(task.model, run.folder)
        export_best(run.folder)
    share_state(task.model)
    evaluation = evaluate_split(
        task,
        run.datamodule,
        split="test" if "test" in run.datamodule.sizes else "val",
        hardware=run.config.hardware,
        accelerator=run.processes.accelerator,
        debug=run.config.debug,
        processes=run.processes,
    )
    return evaluation, best_epoch


def _finish(run: PreparedRun, recorder: Recorder, evaluation: Evaluation, best_epoch: int) -> None:
    """Keep the numbers of the test and say them."""
    from visionkit.commands.results import final_numbers

    folder = run.folder
    parameters = sum(parameter.numel() for parameter in run.model.parameters())
    kept = final_numbers(evaluation.numbers, recorder.history, best_epoch=best_epoch, parameters=parameters)
    folder.write_json(folder.metrics_file, kept)
    for name, table in evaluation.tables.items():
        folder.write_csv(folder.path / f"{name}.csv", table.columns, table.rows)
    _draw_results(run, evaluation)
    _say_results(run, evaluation, kept)


def _say_results(run: PreparedRun, evaluation: Evaluation, kept: Mapping[str, float]) -> None:
    from visionkit.commands.results import number_table, print_json, say_next

    commands = [
        f"python -m visionkit evaluate {run.arguments}",
        f"python -m visionkit predict {run.arguments} source=IMAGE_OR_FOLDER",
    ]
    run.printer.say(*_new_notes(run))
    run.printer.say(number_table(evaluation.numbers, title=f"{evaluation.split} split, epoch {kept['best_epoch']:.0f}"))
    if evaluation.split == "val":
        run.printer.say("There is no test split: these are validation numbers, by which the epoch was chosen.")
    run.printer.say(f"Everything lies in {run.folder.path}")
    say_next(run.printer, commands)
    if run.config.format == "json":
        print_json({"run": str(run.folder.path), "split": evaluation.split, "metrics": dict(kept), "next": commands})


def _draw_training(run: PreparedRun, recorder: Recorder, first_batch: Mapping[str, Any]) -> None:
    from visionkit.commands.kits import KITS

    recorder.draw_curves()
    if first_batch:
        path = run.folder.plots / "train_batch.png"
        KITS[run.config.task.name].draw_batch(first_batch, run.data["class_names"], path)


def _draw_results(run: PreparedRun, evaluation: Evaluation) -> None:
    from visionkit.commands.kits import KITS

    kit, names, plots = KITS[run.config.task.name], run.data["class_names"], run.folder.plots
    kit.draw_tables(evaluation.tables, names, plots)
    samples, preprocess = run.datamodule.samples("val"), run.config.source.preprocess()
    kit.draw_predictions(run.model, samples, preprocess, names, plots / "predictions.png")


def _after_interrupt(run: PreparedRun, *, saved: bool) -> None:
    from visionkit.training.checkpoint import export_best

    folder = run.folder
    export_best(folder)
    if saved or folder.last_checkpoint.exists():
        what = "after the current batch" if saved else "at once; the last finished epoch is saved"
        run.printer.say(
            f"Interrupted {what}. Checkpoint: {folder.last_checkpoint}",
            f"Go on: python -m visionkit train {run.arguments} resume=true",
        )
    else:
        run.printer.say(f"Interrupted before there was anything to save. Folder: {folder.path}")
    if folder.weights_file.exists():
        run.printer.say(f"Look at the best epoch: python -m visionkit evaluate {run.arguments}")
