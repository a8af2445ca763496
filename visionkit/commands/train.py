"""The verb ``train``: from a validated configuration to a run folder with a tested model."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from visionkit.backbones.pretrained import check_start
from visionkit.commands.preparation import build_model, check_resumable, data_facts, known_data, start_from_weights
from visionkit.training.console import Printer
from visionkit.training.run_folder import RunFolder

if TYPE_CHECKING:
    from lightning.pytorch import Callback

    from visionkit.commands.run_config import RunConfig
    from visionkit.data.shared import SharedData
    from visionkit.tasks.base import VisionTask
    from visionkit.training.callbacks.recorder import Recorder
    from visionkit.training.evaluation import Evaluation

__all__ = ["train"]

INTERRUPTED = 130


@dataclass(frozen=True)
class _Run:
    """What the steps of a training share."""

    config: RunConfig
    folder: RunFolder
    printer: Printer
    accelerator: str
    datamodule: Any
    data: dict[str, Any]
    model: Any
    start: list[str] = field(default_factory=list)
    """What is to be said of the weights that training starts from."""
    notes: list[str] = field(default_factory=list)
    """What has been said of the data."""

    @property
    def arguments(self) -> str:
        """What names this run in a command: ``run=...``, and the plugins, which no file may choose."""
        words = [f"run={shlex.quote(str(self.folder.path))}"]
        if self.config.plugins:
            words.append(shlex.quote(f"plugins=[{','.join(self.config.plugins)}]"))
        return " ".join(words)


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
        callbacks: Lightning callbacks that look on beside the run's own, after them.
        printer: Says less, or elsewhere, than a run by itself.
        shared: The data that earlier runs in this process have read.

    Returns:
        0, or 130 after Ctrl-C.

    Raises:
        UserError: For what the user can mend; until training begins, nothing is written.
    """
    if resume_from is None:
        check_start(config.backbone, config.weights)

    from visionkit.training.callbacks.interrupt import Interrupted

    run = _prepare(config, resume_from, printer or Printer(to_stderr=config.format == "json"), shared)
    _say_header(run)
    try:
        recorder, task = _fit(run, resume_from, callbacks)
    except Interrupted as stop:
        return _after_interrupt(run, saved=stop.saved)
    _finish(run, recorder, task)
    return 0


def _prepare(config: RunConfig, resume_from: RunFolder | None, printer: Printer, shared: SharedData | None) -> _Run:
    """Everything that can go wrong goes wrong here, before there is a run folder."""
    from visionkit.training.hardware import choose_accelerator

    accelerator = choose_accelerator(config.hardware)
    if resume_from is not None:
        check_resumable(config, resume_from)
    folder = resume_from or RunFolder.plan(config.name, config.run_dir)
    config.source.check(strict=config.strict)

    from visionkit.training.trainer import seed

    seed(config.seed)
    try:
        if resume_from is None:
            folder.reserve()
        datamodule = config.datamodule(folder.splits_file, shared=shared)
        datamodule.prepare_data()
        known = None if resume_from is None else known_data(resume_from, datamodule)
        datamodule.setup("fit")
        data = known or data_facts(config, datamodule)
        model = build_model(config, data)
        start = start_from_weights(model, config, data) if known is None else []
    except BaseException:
        folder.discard()
        raise
    folder.start(config.plain)
    folder.write_json(folder.data_file, data)
    printer.log_to(folder.log_file)
    return _Run(config, folder, printer, accelerator, datamodule, data, model, start)


def _say_header(run: _Run) -> None:
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
        f"device   {device_name(run.accelerator)}, precision {config.hardware.precision}",
        f"folder   {run.folder.path}",
    ]
    if config.debug.limit_batches is not None:
        lines.append(
            f"debug    {config.debug.limit_batches} batches of each split: the figures say nothing of the model"
        )
    run.printer.say(*lines)


def _new_notes(run: _Run) -> list[str]:
    """What has become known of the data since it was last asked: files that are read later may prove broken."""
    new = [note for note in run.datamodule.notes if note not in run.notes]
    run.notes.extend(new)
    return new


def _fit(run: _Run, resume_from: RunFolder | None, callbacks: Sequence[Callback]) -> tuple[Recorder, VisionTask]:
    from visionkit.training.callbacks.display import Display
    from visionkit.training.callbacks.interrupt import Interrupt
    from visionkit.training.callbacks.progress import Progress
    from visionkit.training.callbacks.recorder import Recorder
    from visionkit.training.environment import describe_environment
    from visionkit.training.trainer import make_trainer, quiet

    config, folder = run.config, run.folder
    folder.write_json(folder.environment_file, describe_environment())
    epochs = config.debug.epochs or config.recipe.epochs
    progress = Progress(Display(run.printer, epochs=epochs))
    recorder = Recorder(folder, config.task, progress)
    interrupt = Interrupt(folder.last_checkpoint, run.printer.report)
    task = _make_task(run, epochs=epochs)
    behind = len(recorder.history)
    with quiet(), interrupt:
        trainer = make_trainer(
            hardware=config.hardware,
            accelerator=run.accelerator,
            debug=config.debug,
            recipe=config.recipe,
            folder=folder,
            logger=config.logger,
            info=config.task,
            callbacks=[progress, interrupt, recorder, *callbacks],
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
    _draw_training(run, recorder, progress.first_batch)
    return recorder, task


def _make_task(run: _Run, *, epochs: int) -> VisionTask:
    from visionkit.tasks.create import TASK_CLASSES
    from visionkit.training.hardware import prepare_model
    from visionkit.training.optim import make_optimizer, make_schedule

    recipe = run.config.recipe
    # The scaler of 16-bit training cannot clip the gradients of a fused optimizer.
    fused = not (run.config.hardware.precision == "16" and recipe.clip_norm is not None)
    return TASK_CLASSES[run.config.task.name](
        prepare_model(run.model, run.config.hardware),
        class_names=tuple(run.data["class_names"]),
        optimizer_fn=lambda model: make_optimizer(model, settings=recipe.optimizer, lr=recipe.lr, fused=fused),
        schedule_fn=make_schedule(recipe, epochs=epochs),
        hyper_parameters=run.config.plain,
    )


def _finish(run: _Run, recorder: Recorder, task: VisionTask) -> None:
    """Test the best epoch, once, and say so."""
    from visionkit.commands.results import final_numbers
    from visionkit.training.checkpoint import export_best, load_best
    from visionkit.training.evaluation import evaluate_split

    config, folder = run.config, run.folder
    best_epoch = load_best(task.model, folder)
    export_best(folder)
    split = "test" if "test" in run.datamodule.sizes else "val"
    evaluation = evaluate_split(
        task, run.datamodule, split=split, hardware=config.hardware, accelerator=run.accelerator, debug=config.debug
    )
    parameters = sum(parameter.numel() for parameter in run.model.parameters())
    kept = final_numbers(evaluation.numbers, recorder.history, best_epoch=best_epoch, parameters=parameters)
    folder.write_json(folder.metrics_file, kept)
    for name, table in evaluation.tables.items():
        folder.write_csv(folder.path / f"{name}.csv", table.columns, table.rows)
    _draw_results(run, evaluation)
    _say_results(run, evaluation, kept)


def _say_results(run: _Run, evaluation: Evaluation, kept: Mapping[str, float]) -> None:
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


def _draw_training(run: _Run, recorder: Recorder, first_batch: Mapping[str, Any]) -> None:
    from visionkit.report.plots import plot_images

    recorder.draw_curves()
    if first_batch:
        labels = first_batch[run.config.task.target].tolist()
        path = run.folder.plots / "train_batch.png"
        plot_images(first_batch["images"], labels, run.data["class_names"], path, title="first training batch")


def _draw_results(run: _Run, evaluation: Evaluation) -> None:
    from visionkit.report.plots import plot_confusion_matrix, plot_predictions
    from visionkit.training.evaluation import predict_some

    names, plots = run.data["class_names"], run.folder.plots
    if "confusion_matrix" in evaluation.tables:
        counts = [[int(cell or 0) for cell in row[1:]] for row in evaluation.tables["confusion_matrix"].rows]
        plot_confusion_matrix(counts, names, plots / "confusion_matrix.png")
    some = predict_some(run.model, run.config.source, run.datamodule)
    if some:
        plot_predictions(
            some["images"],
            some["label"].tolist(),
            some["predicted"].tolist(),
            some["scores"].tolist(),
            names,
            plots / "predictions.png",
            title="predictions on validation images",
        )


def _after_interrupt(run: _Run, *, saved: bool) -> int:
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
    return INTERRUPTED
