"""From a validated configuration to a run folder with a tested model."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from visionkit.errors import ExitCode
from visionkit.registry import load
from visionkit.training.messages import (
    draw_results,
    draw_training,
    new_notes,
    print_header,
    print_interrupted,
    print_results,
)
from visionkit.training.model import build_model
from visionkit.training.setup import RunSetup, check_processes, launch_training, set_up

if TYPE_CHECKING:
    from lightning.pytorch import Callback

    from visionkit.console import Printer
    from visionkit.data.shared_cache import SharedCache
    from visionkit.distributed.processes import Processes
    from visionkit.runs.config import RunConfig
    from visionkit.runs.folder import RunFolder
    from visionkit.tasks.base import VisionTask
    from visionkit.training.callbacks.recorder import Recorder
    from visionkit.training.evaluation import Evaluation

__all__ = ["train"]


def train(
    config: RunConfig,
    *,
    resume_from: RunFolder | None = None,
    callbacks: Sequence[Callback] = (),
    printer: Printer | None = None,
    shared: SharedCache | None = None,
) -> int:
    """Train, test the best epoch, and leave everything in the run folder.

    Args:
        config: The validated configuration; where a run goes on, it replaces that run's ``config.yaml``.
        resume_from: A run that is continued in its own folder from its last checkpoint; None for a new one.
        callbacks: Lightning callbacks that look on beside the run's own, after them; in one process.
        printer: Says less, or elsewhere, than a run by itself; of several processes, the first says as little.
        shared: The data that earlier runs in this process have read; in one process.

    Returns:
        0, or 130 after Ctrl-C.

    Raises:
        UserError: For what the user can mend; until training begins, nothing is written.
        ProcessError: If one of several processes failed.
    """
    if resume_from is None:
        config.check_start()

    from visionkit.distributed.processes import Processes

    processes = Processes.plan(config.hardware)
    check_processes(config, processes, watched=bool(callbacks))
    if processes.to_launch:
        return launch_training(config, resume_from, processes, printer=printer)
    with processes.process_group():
        return _train(config, resume_from, processes, callbacks=callbacks, printer=printer, shared=shared)


def _train(
    config: RunConfig,
    resume_from: RunFolder | None,
    processes: Processes,
    *,
    callbacks: Sequence[Callback],
    printer: Printer | None,
    shared: SharedCache | None,
) -> int:
    from visionkit.distributed.comm import barrier, rank
    from visionkit.runs.checkpoint import export_best
    from visionkit.training.callbacks.interrupt import Interrupted

    run = set_up(config, resume_from, processes, printer=printer, shared=shared)
    print_header(run)
    try:
        recorder, task = _fit(run, resume_from, callbacks)
    except Interrupted as stop:
        if rank() == 0:
            export_best(run.folder)
            print_interrupted(run, saved=stop.saved)
        if stop.together:
            barrier()
        return ExitCode.INTERRUPTED
    if config.hardware.strategy == "fsdp" and processes.count > 1:  # what was trained lies in parts everywhere
        run = replace(run, model=build_model(config, run.data))
        task = _make_task(run, epochs=1)
    evaluation, best_epoch = _test(run, task)
    if rank() == 0:
        _finish(run, recorder, evaluation, best_epoch)
    barrier()  # a process that ends is taken for the end of the run
    return ExitCode.DONE


def _fit(run: RunSetup, resume_from: RunFolder | None, callbacks: Sequence[Callback]) -> tuple[Recorder, VisionTask]:
    from visionkit.distributed.comm import broadcast_state, rank
    from visionkit.distributed.launch import is_worker
    from visionkit.runs.environment import describe_environment
    from visionkit.training.callbacks.display import ProgressDisplay
    from visionkit.training.callbacks.divergence import Divergence
    from visionkit.training.callbacks.interrupt import Interrupt
    from visionkit.training.callbacks.progress import Progress
    from visionkit.training.callbacks.recorder import Recorder
    from visionkit.training.trainer import make_trainer, quiet

    config, folder = run.config, run.folder
    if rank() == 0:
        folder.write_json(folder.environment_file, describe_environment())
    epochs = config.debug.epochs or config.recipe.epochs
    progress = Progress(ProgressDisplay(run.printer, epochs=epochs))
    recorder = Recorder(folder, config.task, progress)
    interrupt = Interrupt(folder.last_checkpoint, run.printer.announce, launched=is_worker())
    broadcast_state(run.model)  # weights that training starts from have been read by the first process alone
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
    run.printer.print(f"{what}; best epoch {recorder.best_epoch}", *new_notes(run))
    if rank() == 0:
        draw_training(run, recorder, progress.first_batch)
    return recorder, task


def _make_task(run: RunSetup, *, epochs: int) -> VisionTask:
    from visionkit.models.prepare import prepare_model
    from visionkit.training.optimizers import make_optimizer
    from visionkit.training.schedules import make_schedule

    recipe = run.config.recipe
    # The scaler of 16-bit training cannot clip the gradients of a fused optimizer, and parts have no fused kernels.
    scaled = run.config.hardware.precision == "16" and recipe.clip_norm is not None
    fused = not scaled and run.config.hardware.strategy != "fsdp"
    task: VisionTask = load(run.config.task.module)(
        prepare_model(run.model, run.config.hardware),
        class_names=tuple(run.data["class_names"]),
        optimizer_fn=lambda model: make_optimizer(model, settings=recipe.optimizer, lr=recipe.lr, fused=fused),
        schedule_fn=make_schedule(recipe, epochs=epochs),
        hyper_parameters=run.config.plain,
    )
    return task


def _test(run: RunSetup, task: VisionTask) -> tuple[Evaluation, int]:
    """Test the best epoch, once."""
    from visionkit.distributed.comm import broadcast_state, rank
    from visionkit.runs.checkpoint import export_best, load_best
    from visionkit.training.evaluation import evaluate_split

    best_epoch = 0
    if rank() == 0:
        best_epoch = load_best(task.model, run.folder)
        export_best(run.folder)
    broadcast_state(task.model)
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


def _finish(run: RunSetup, recorder: Recorder, evaluation: Evaluation, best_epoch: int) -> None:
    """Keep the numbers of the test and say them."""
    from visionkit.training.evaluation import final_numbers

    folder = run.folder
    parameters = sum(parameter.numel() for parameter in run.model.parameters())
    kept = final_numbers(evaluation.numbers, recorder.history, best_epoch=best_epoch, parameters=parameters)
    for name, table in evaluation.tables.items():
        folder.write_csv(folder.path / f"{name}.csv", table.columns, table.rows)
    draw_results(run, evaluation)
    folder.write_json(folder.metrics_file, kept)  # the last: a run that has it is done
    print_results(run, evaluation, kept)
