"""Messages and plots of a training for its user."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from visionkit.runs.notes import add_notes
from visionkit.text import count_of

if TYPE_CHECKING:
    from visionkit.metrics.evaluation import Evaluation
    from visionkit.training.callbacks.time_limit import TimeIsUp
    from visionkit.training.setup import RunSetup

__all__ = ["announce_note", "new_notes", "print_header", "print_interrupted", "print_results", "time_notes"]


def print_header(run: RunSetup) -> None:
    """Print model, data, initial weights, device and folder of the run."""
    from visionkit.distributed.devices import device_name

    config, sizes = run.config, run.datamodule.sizes
    num_parameters = sum(parameter.numel() for parameter in run.model.parameters())
    height, width = run.data["image_size"]
    choice = _choice_notes(run)
    lines = [
        f"model    {config.backbone.name}, {num_parameters:,} parameters",
        f"data     {run.data['name']}: {', '.join(f'{split} {size:,}' for split, size in sizes.items())}; "
        f"{count_of(len(run.data['class_names']), 'class')}, {run.data['in_channels']}x{height}x{width}",
        *(f"         {note}" for note in [*new_notes(run), *choice]),
        *(f"weights  {line}" for line in run.weight_notes),
        *_parallelism_lines(run),
        *run.notes,
        f"device   {device_name(run.processes.accelerator)}, precision {config.hardware.precision}",
        f"folder   {run.folder.path}",
    ]
    lines += _freezing_lines(run)
    lines += (cut := _debug_lines(run))
    run.printer.print(*lines)
    _store_notes(run, [*run.data_notes, *choice, *(line.partition(" ")[2].strip() for line in [*run.notes, *cut])])


def _debug_lines(run: RunSetup) -> list[str]:
    """How far ``debug`` cuts the run; nothing without it."""
    debug = run.config.debug
    if debug.limit_batches is None:
        return []
    epochs = "" if debug.epochs is None else f", {count_of(debug.epochs, 'epoch')} whatever recipe.epochs says"
    return [
        f"debug    {count_of(debug.limit_batches, 'batch')} of {run.config.recipe.batch_size} from each split{epochs}: "
        "the figures say nothing of the model. For a real run: debug=none"
    ]


def _freezing_lines(run: RunSetup) -> list[str]:
    """Which stages are not trained, and until when; nothing where all are."""
    recipe = run.config.recipe
    if recipe.freeze is None:
        return []
    stages = list(run.model.backbone.stage_parameters().items())[: recipe.freeze]
    count = sum(parameter.numel() for _, parameters in stages for parameter in parameters)
    thaw = recipe.thaw_epoch
    until = "" if thaw is None or thaw >= recipe.epochs else f", until epoch {thaw + 1}"
    return [f"frozen   {', '.join(name for name, _ in stages)}: {count:,} parameters are not trained{until}"]


def announce_note(run: RunSetup, note: str) -> None:
    """Print a note in the course of a training, and record it."""
    run.printer.announce(note)
    _store_notes(run, [note])


def _store_notes(run: RunSetup, notes: Sequence[str]) -> None:
    """Keep notes in the run's folder, where a sweep collects them."""
    from visionkit.distributed.comm import rank

    if rank() == 0:
        add_notes(run.folder.notes_file, notes)


def _choice_notes(run: RunSetup) -> list[str]:
    """Whether the validation split is too small to choose an epoch or a run by it; nothing in a run with ``debug``."""
    from visionkit.metrics.intervals import CHOICE_HALF_WIDTH, half_width

    count, of_accuracy = run.datamodule.sizes.get("val", 0), run.config.task.monitor.endswith("accuracy")
    if run.config.debug.limit_batches is not None or not count:
        return []
    half = half_width(count, of_accuracy=of_accuracy)
    if half <= CHOICE_HALF_WIDTH:
        return []
    enough = math.ceil(count * (half / CHOICE_HALF_WIDTH) ** 2)
    return [
        f"val has {count_of(count, 'image')}, so {run.config.task.monitor} is known to within "
        f"{100 * half:.0f} points (95 %): smaller differences between epochs or runs may be chance. "
        f"Some {enough} images give {100 * CHOICE_HALF_WIDTH:.0f}; or compare runs over -m dataset.fold=0,1,2,3,4"
    ]


def _parallelism_lines(run: RunSetup) -> list[str]:
    """Lines about the division of the batch over processes; none for a single process."""
    from visionkit.distributed.sync_batch_norm import count_unsupported_batch_norms

    processes, batch_size = run.processes, run.config.recipe.batch_size
    if processes.count == 1:
        return []
    machines = f"{processes.num_nodes} machines x " if processes.num_nodes > 1 else ""
    lines = [f"batch    {batch_size} = {machines}{processes.per_node} processes x {batch_size // processes.count}"]
    num_foreign = count_unsupported_batch_norms(run.model) if run.config.hardware.sync_batch_norm else 0
    if num_foreign:
        lines.append(
            f"         {num_foreign} batch norms are no torch layers: each process has its own statistics of them"
        )
    return lines


def new_notes(run: RunSetup) -> list[str]:
    """Notes about the data since the last call, such as files that turned out to be unreadable; they are recorded.

    The names that a note leaves out stand in the log.
    """
    notes = [note for note in run.datamodule.notes if note not in run.data_notes]
    run.data_notes.extend(notes)
    _store_notes(run, notes)
    if notes:
        run.printer.log(*(found.details for found in run.datamodule.findings if found.details and found.note in notes))
    return notes


def time_notes(run: RunSetup, stopped: TimeIsUp | None) -> list[str]:
    """What ``recipe.max_time`` has left out; nothing if it has not ended the training. It is recorded."""
    from visionkit.settings import describe_duration
    from visionkit.training.schedules import make_schedule

    recipe = run.config.recipe
    if stopped is None or recipe.max_time is None:
        return []
    duration, epoch, planned = describe_duration(recipe.max_time), stopped.epoch, stopped.planned
    where = f"in epoch {epoch}" if stopped.is_within_epoch else f"after epoch {epoch}"
    cut = f", {stopped.num_batches} of its {planned} batches" if stopped.is_within_epoch else ""
    share = (epoch - 1 + stopped.num_batches / planned) / recipe.epochs
    steps = planned * recipe.epochs
    factor = make_schedule(recipe)(min(round(share * steps), steps - 1), steps)
    note = (
        f"recipe.max_time={duration} ended the training {where} of {recipe.epochs}{cut}: the schedule is made for all "
        f"{count_of(recipe.epochs, 'epoch')}, and had the rate at {factor:.3g} of recipe.lr"
    )
    if epoch == 1 and stopped.is_within_epoch:
        note += f". That is less than one epoch, so the results are those of {count_of(stopped.num_batches, 'batch')}"
    elif epoch > 1:
        note += f". A whole schedule in about this time: recipe.epochs={max(1, round(share * recipe.epochs))}"
    longer = f"recipe.max_time={describe_duration(2 * recipe.max_time)}"
    _store_notes(run, [note])
    go_on = f"{_next_step(run, 'train')}{', with' if run.config.objects else ''} {longer}"
    return [f"time     {note}", f"         To go on: {go_on}"]


def print_results(run: RunSetup, evaluation: Evaluation, metrics: Mapping[str, float]) -> None:
    """Print the metrics of the best epoch and the commands that can follow.

    Args:
        run: The run.
        evaluation: The evaluation of the best epoch.
        metrics: The content of ``metrics.json``.
    """
    from visionkit.console import metrics_table, print_json, print_next_steps

    commands = [
        _next_step(run, "evaluate"),
        _next_step(run, "load")
        if run.config.objects.head is not None
        else f"python -m visionkit predict {run.arguments} source=IMAGE_OR_FOLDER",
    ]
    run.printer.print(*new_notes(run))
    run.printer.print(
        metrics_table(evaluation.scalars, title=f"{evaluation.split} split, epoch {metrics['best_epoch']:.0f}")
    )
    if evaluation.split == "val":
        run.printer.print("There is no test split: these are validation numbers, by which the epoch was chosen.")
    run.printer.print(f"Everything lies in {run.folder.path}")
    print_next_steps(run.printer, commands)
    if run.config.format == "json":
        print_json({"run": str(run.folder.path), "split": evaluation.split, "metrics": dict(metrics), "next": commands})


def print_interrupted(run: RunSetup, *, saved: bool, in_validation: bool = False) -> None:
    """Print the state of an interrupted run and the command that resumes it.

    Args:
        run: The run; the weights of its best epoch have been exported if it has one.
        saved: Whether the checkpoint holds the state after the last batch.
        in_validation: Whether a validation was cut short, before which the state was saved.
    """
    folder = run.folder
    if saved or folder.last_checkpoint.exists():
        moment = "after the current batch" if saved else "at once; the last finished epoch is saved"
        moment = "in a validation, which begins again" if in_validation else moment
        run.printer.print(
            f"Interrupted {moment}. Checkpoint: {folder.last_checkpoint}",
            f"Go on: {_next_step(run, 'train')}",
        )
    else:
        run.printer.print(f"Interrupted before there was anything to save. Folder: {folder.path}")
    if folder.weights_file.exists():
        run.printer.print(f"Look at the best epoch: {_next_step(run, 'evaluate')}")


def _next_step(run: RunSetup, verb: str) -> str:
    """The command for a verb; the call in Python if the run has objects, which no command can give."""
    objects = run.config.objects
    if not objects:
        return f"python -m visionkit {verb} {run.arguments}{' resume=true' if verb == 'train' else ''}"
    path = repr(str(run.folder.path))
    names = dict.fromkeys(name.partition("[")[0] for name in objects.named)
    again = ", ".join(f"{name}=..." for name in names if verb != "load" or name == "head")
    if verb == "train":
        return f"visionkit.train(run={path}, resume=True, {again})"
    return f"visionkit.{verb}({path}, {again}){'.predict(IMAGE_OR_FOLDER)' if verb == 'load' else ''}"
