"""Training: from a validated configuration to a run folder with a trained and tested model."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visionkit.errors import ExitCode, Outcome, UserError
from visionkit.training.build import make_task
from visionkit.training.messages import new_notes, print_header, print_interrupted, print_results, time_notes
from visionkit.training.payload import check_callbacks, check_not_imported
from visionkit.training.pictures import draw_results, draw_training
from visionkit.training.resume import explain_restoring
from visionkit.training.setup import RunSetup, check_processes, launch_training, set_up

if TYPE_CHECKING:
    from lightning.pytorch import Callback, Trainer

    from visionkit.console import Printer
    from visionkit.data.shared_cache import SharedCache
    from visionkit.metrics.evaluation import Evaluation
    from visionkit.runs.config import RunConfig
    from visionkit.runs.folder import RunFolder
    from visionkit.tasks.base import VisionTask
    from visionkit.training.callbacks.recorder import Recorder
    from visionkit.training.rollback import Attempt
    from visionkit.training.tracking.run import RunTracking

__all__ = ["train"]


def train(
    config: RunConfig,
    *,
    resume_from: RunFolder | None = None,
    callbacks: Sequence[Callback] = (),
    logger: Any = None,
    printer: Printer | None = None,
    shared: SharedCache | None = None,
) -> Outcome[Path | None]:
    """Train, test the best epoch, and write all results to the run folder.

    Args:
        config: The validated configuration, after `RunConfig.check_initial_weights`; in a resumed run it replaces the
            run's ``config.yaml``.
        resume_from: The run to resume from its last checkpoint, in its own folder; None for a new run.
        callbacks: Further Lightning callbacks, called after the run's own; several processes each have a copy.
        logger: Lightning loggers, or False, in the place of the configuration's; None for those of the configuration.
        printer: The output, if not the default one; of several processes the first one prints.
        shared: Images cached by earlier runs in this process; for a run in a single process.

    Returns:
        0, or 130 after Ctrl-C and 143 after SIGTERM; and the folder of the run, None where another machine's processes
        have made it, or none did before a signal.

    Raises:
        UserError: For mistakes of the user; before training begins, nothing is written then.
        ProcessError: If one of several processes failed.
    """
    from visionkit.distributed.processes import Processes

    check_not_imported()
    processes = Processes.plan(config.hardware)
    check_processes(config, processes)
    check_callbacks(callbacks, logger)
    if resume_from is not None:
        config.objects.check_fits_run(resume_from.read_config(), folder=resume_from.path)
    if processes.to_launch:
        launched = launch_training(config, resume_from, processes, callbacks=callbacks, logger=logger, printer=printer)
        return Outcome(launched.code, None if launched.result is None else Path(launched.result))
    from visionkit.training.caller_state import keep_caller_state

    with keep_caller_state(), processes.process_group():
        run = set_up(config, resume_from, processes, printer=printer, shared=shared)
        try:
            return Outcome(_fit_and_test(run, resume_from, callbacks, logger), run.folder.path)
        except (OSError, UserError):
            run.folder.check_present()  # its files are missing when the folder was moved between two checks
            raise
        finally:
            run.folder.unlock()


def _fit_and_test(run: RunSetup, resume_from: RunFolder | None, callbacks: Sequence[Callback], logger: Any) -> int:
    from visionkit.training.tracking.run import RunTracking

    print_header(run)
    with RunTracking(_loggers(run, logger), run.config.plain) as tracking:
        return _fit_and_test_tracked(run, resume_from, callbacks, tracking)


def _loggers(run: RunSetup, given: Any) -> list[Any]:
    """The Lightning loggers of the run: those that were given, or those of the configuration."""
    from visionkit.training.loggers import make_loggers

    if given is None:
        return make_loggers(run.config.logger, run.folder)
    return list(given) if isinstance(given, (list, tuple)) else [given] if given is not False else []


def _fit_and_test_tracked(
    run: RunSetup, resume_from: RunFolder | None, callbacks: Sequence[Callback], tracking: RunTracking
) -> int:
    from visionkit.distributed.comm import barrier, rank
    from visionkit.runs.checkpoint import build_run_model, export_best
    from visionkit.training.callbacks.interrupt import Interrupted
    from visionkit.training.rollback import fit_with_rollbacks

    config, processes = run.config, run.processes
    try:
        recorder, task = fit_with_rollbacks(run, resume_from, lambda attempt: _fit(attempt, callbacks, tracking))
    except Interrupted as stop:
        if rank() == 0:
            export_best(run.folder)
            print_interrupted(run, saved=stop.saved, in_validation=stop.saved and not stop.all_processes)
        if stop.all_processes:
            barrier()
        return ExitCode.of_signal(stop.signal)
    if not recorder.history:
        raise UserError(
            "the training ended before its first epoch was finished, as one of the callbacks asked for. Expected one "
            f"epoch at least. Try others, or none: callbacks=[]. What there is lies in {run.folder.path}"
        )
    if config.hardware.strategy == "fsdp" and processes.count > 1:  # the trained weights are sharded over the processes
        run = replace(run, model=build_run_model(config.backbone, config.head, run.data))
        task = make_task(run.config, run.model, run.data)
    evaluation, best_epoch = _test(run, task, callbacks)
    if rank() == 0:
        _finish(run, recorder, evaluation, best_epoch, tracking)
    barrier()  # the launcher ends a run when one of its processes has ended
    return ExitCode.DONE


def _fit(attempt: Attempt, callbacks: Sequence[Callback], tracking: RunTracking) -> tuple[Recorder, VisionTask]:
    from visionkit.data.workers import explain_dead_workers
    from visionkit.distributed.comm import broadcast_state, rank
    from visionkit.runs.environment import describe_environment
    from visionkit.training.callbacks.nan_guard import RollBack
    from visionkit.training.callbacks.recorder import check_all_epochs
    from visionkit.training.run_callbacks import make_run_callbacks
    from visionkit.training.trainer import make_trainer, quiet, raising_interrupts

    run, resume_from = attempt.run, attempt.resume_from
    config, folder = run.config, run.folder
    if rank() == 0:
        folder.write_json(folder.environment_file, describe_environment())
    own = make_run_callbacks(attempt, callbacks, tracking)
    recorder, limit, interrupt = own.recorder, own.time_limit, own.interrupt
    broadcast_state(run.model)  # only the first process has loaded the initial weights
    task = make_task(run.config, run.model, run.data, distillation=run.distillation)
    with quiet(), explain_dead_workers(), interrupt:
        trainer = make_trainer(
            hardware=config.hardware,
            accelerator=run.processes.accelerator,
            debug=config.debug,
            processes=run.processes,
            recipe=config.recipe,
            folder=folder,
            info=config.task,
            callbacks=own.in_order,
            loggers=tracking.loggers or False,
        )
        start = time.perf_counter()
        has_plugins = bool(callbacks or config.callbacks or config.plugins)
        checkpoint = None if resume_from is None else _read_resumed(run, trainer, has_plugins=has_plugins)
        with raising_interrupts(), explain_restoring(checkpoint):
            try:
                trainer.fit(task, datamodule=run.datamodule, ckpt_path=None if checkpoint is None else str(checkpoint))
            except RollBack as back:
                back.seconds = limit.spent
                raise
        check_all_epochs(trainer)
    seconds, num_trained = time.perf_counter() - start, len(recorder.history)
    if not recorder.has_begun:
        summary = f"all {num_trained} epochs were trained before"
    else:  # early stopping and callbacks set should_stop
        is_early = trainer.should_stop and limit.stopped is None and num_trained < config.recipe.epochs
        summary = f"trained for {seconds:.1f} s{f', stopped early after epoch {num_trained}' if is_early else ''}"
    run.printer.print(f"{summary}; best epoch {recorder.best_epoch}", *time_notes(run, limit.stopped), *new_notes(run))
    if rank() == 0:
        draw_training(run, recorder)
    return recorder, task


def _read_resumed(run: RunSetup, trainer: Trainer, *, has_plugins: bool) -> Path:
    """The checkpoint to go on from, read, checked and handed to the trainer; says so if it is not the last one.

    Raises:
        UserError: As `visionkit.training.resume.read_resumed`.
    """
    from visionkit.training.checkpoint_io import SafeCheckpointIO
    from visionkit.training.resume import read_resumed
    from visionkit.training.teacher import check_same_teacher

    checkpoint = read_resumed(run.config, run.folder, run.data, run.model.state_dict(), has_plugins=has_plugins)
    if run.distillation is not None:
        check_same_teacher(checkpoint.content.get("teacher"), run.distillation)
    file = checkpoint.file
    if file != run.folder.last_checkpoint:
        last = run.folder.last_checkpoint
        run.printer.print(f"resume   '{last}' is missing or damaged: the run goes on from {file.name}, its best epoch")
    checkpoint_io = trainer.strategy.checkpoint_io
    if isinstance(checkpoint_io, SafeCheckpointIO) and run.config.hardware.strategy != "fsdp":  # which reads it itself
        checkpoint_io.provide(file, checkpoint.content)
    return file


def _test(run: RunSetup, task: VisionTask, callbacks: Sequence[Callback]) -> tuple[Evaluation, int]:
    """Load the best epoch and evaluate it on the test split, or on the validation split where there is none."""
    from lightning.pytorch.callbacks import Checkpoint

    from visionkit.distributed.comm import broadcast_state, rank
    from visionkit.runs.checkpoint import export_best, load_best
    from visionkit.training.evaluation import evaluate_split

    best_epoch = 0
    if rank() == 0:
        best = load_best(task.model, run.folder, initial=task.initial)
        export_best(run.folder, best)
        best_epoch = best.epoch + 1
    broadcast_state(task.model)
    evaluation = evaluate_split(
        task,
        run.datamodule,
        split="test" if "test" in run.datamodule.sizes else "val",
        hardware=run.config.hardware,
        accelerator=run.processes.accelerator,
        debug=run.config.debug,
        processes=run.processes,
        callbacks=[callback for callback in callbacks if not isinstance(callback, Checkpoint)],
    )
    return evaluation, best_epoch


def _finish(run: RunSetup, recorder: Recorder, evaluation: Evaluation, best_epoch: int, tracking: RunTracking) -> None:
    """Write, draw, log and print the results of the test."""
    from visionkit.training.evaluation import final_metrics

    folder = run.folder
    num_parameters = sum(parameter.numel() for parameter in run.model.parameters())
    metrics = final_metrics(evaluation.scalars, recorder.history, best_epoch=best_epoch, num_parameters=num_parameters)
    for name, table in evaluation.tables.items():
        folder.write_csv(folder.path / f"{name}.csv", table.columns, table.rows)
    draw_results(run, evaluation)
    notes = tracking.log_results(metrics, folder.plots)
    folder.check_present()
    folder.write_json(folder.metrics_file, metrics)  # last: this file marks a finished run
    print_results(run, evaluation, metrics)
    run.printer.print(*notes)
