"""The setup of a training: run folder, data and model, equal in all its processes."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

from visionkit.console import Printer
from visionkit.errors import Outcome, UserError
from visionkit.runs.consistency import leaves
from visionkit.runs.folder import RunFolder
from visionkit.runs.mixing_checks import check_mixing_batch
from visionkit.schema import describe
from visionkit.training.batch_norm import check_batch_norm
from visionkit.training.model import data_info, initialize_weights
from visionkit.training.resume import check_resumable, stored_data_info

if TYPE_CHECKING:
    from visionkit.data.shared_cache import SharedCache
    from visionkit.distributed.processes import Processes
    from visionkit.runs.config import RunConfig
    from visionkit.tasks.distillation import Distillation

__all__ = ["RunSetup", "check_processes", "check_same_command", "launch_training", "set_up"]

_PER_MACHINE_KEYS = frozenset(
    {
        "dataset.cache_mb", "dataset.file", "dataset.num_workers", "dataset.root", "format", "hardware.devices",
        "hardware.node_rank", "hardware.rendezvous", "hardware.timeout", "run_dir", "weights",
    }
)  # fmt: skip


@dataclass(frozen=True)
class RunSetup:
    """A training that is ready to start, in one of its processes."""

    config: RunConfig
    folder: RunFolder
    printer: Printer
    processes: Processes
    datamodule: Any
    data: dict[str, Any]
    model: Any
    distillation: Distillation | None = None
    weight_notes: list[str] = field(default_factory=list)
    """Lines about the initial weights."""
    notes: list[str] = field(default_factory=list)
    """Lines about the batch and the learning rate."""
    data_notes: list[str] = field(default_factory=list)
    """Notes about the data that have been printed already."""

    @property
    def arguments(self) -> str:
        """The arguments that name this run in a command: ``run=...``, and the plugins, which no file may choose."""
        arguments = [f"run={shlex.quote(str(self.folder.path))}"]
        if self.config.plugins:
            arguments.append(shlex.quote(f"plugins=[{','.join(self.config.plugins)}]"))
        return " ".join(arguments)


def check_processes(config: RunConfig, processes: Processes) -> None:
    """Check that a training can run in its processes.

    Args:
        config: The configuration.
        processes: The processes of the run.

    Raises:
        UserError: If the global batch is not divisible by the processes.
    """
    if processes.count == 1:
        return
    from visionkit.data.sampler import check_batch_size

    check_batch_size(config.recipe.batch_size, processes.count)


def check_same_command(plain: Mapping[str, Any]) -> None:
    """Check, in all processes of a run, that all machines were given the same command.

    With different configurations processes would deadlock or train something that nobody requested.

    Args:
        plain: The configuration of this process.

    Raises:
        UserError: In all processes, if the configuration of any differs from the first process's.
    """
    from visionkit.distributed.comm import all_reduce_sum, broadcast_object

    own, first = dict(leaves(plain)), dict(leaves(broadcast_object(plain)))
    differ = [key for key in first | own if own.get(key) != first.get(key) and key not in _PER_MACHINE_KEYS]
    if all_reduce_sum([len(differ)]) == [0]:
        return
    if differ:
        found, expected = (describe(values.get(differ[0])) for values in (own, first))
        raise UserError(
            f"{differ[0]}: found {found} on this machine and {expected} on the first one. Expected the same command on "
            "every machine, but for its own hardware.node_rank. Type here what was typed there."
        )
    raise UserError(
        "hardware.num_nodes: another machine was given another command than this one, and says there in which key. "
        "Expected the same on every machine, but for its own hardware.node_rank."
    )


def launch_training(
    config: RunConfig,
    resume_from: RunFolder | None,
    processes: Processes,
    *,
    callbacks: Sequence[Any] = (),
    logger: Any = None,
    printer: Printer | None = None,
) -> Outcome[Any]:
    """Train in newly started processes.

    Args:
        config: The configuration.
        resume_from: The run to resume; None for a new one.
        processes: The processes to start.
        callbacks: The caller's, sent to each process.
        logger: The caller's, likewise.
        printer: Its ``brief`` and ``is_silent`` are passed on to the first process; None for full output.

    Returns:
        As `visionkit.distributed.launch.launch`; the result is the path of the run's folder.

    Raises:
        UserError: If the run's folder cannot be used, or a process ended with one.
        ProcessError: If a process failed otherwise.
    """
    from visionkit.distributed.launch import launch
    from visionkit.training.payload import Payload, pack

    payload = pack(Payload(config.objects, tuple(callbacks), logger), num_processes=processes.count)
    if resume_from is not None:
        check_resumable(config, resume_from)
    elif config.hardware.node_rank == 0:
        RunFolder.check_free(config.run_dir)
    arguments = {
        "resume_from": None if resume_from is None else str(resume_from.path),
        "brief": printer is not None and printer.brief,
        "silent": printer is not None and printer.is_silent,
    }
    return launch("train", config.plain, arguments, processes=processes, hardware=config.hardware, payload=payload)


def set_up(
    config: RunConfig,
    resume_from: RunFolder | None,
    processes: Processes,
    *,
    printer: Printer | None = None,
    shared: SharedCache | None = None,
) -> RunSetup:
    """Create the run's folder, data and model in the first process, and after it data and model in the others.

    Args:
        config: The configuration.
        resume_from: The run to resume; None for a new one.
        processes: The processes of the run.
        printer: The output of the first process; None for the default one.
        shared: Images cached by earlier runs in this process.

    Raises:
        UserError: If configuration, data or weights are wrong; no new run folder is left then.
    """
    from visionkit.distributed.comm import broadcast_object, rank
    from visionkit.training.trainer import seed

    check_same_command(config.plain)
    if resume_from is not None and resume_from.data_file.is_file():  # pixels are read as they were when the run began
        from visionkit.runs.checkpoint import read_data_info

        value_range = read_data_info(resume_from).get("value_range")
        config = replace(config, source=config.source.with_value_range(value_range))
    seed(config.seed)
    printer = printer or Printer(to_stderr=config.format == "json")
    first = _set_up_first(config, resume_from, processes, printer, shared) if rank() == 0 else None
    facts = broadcast_object(None if first is None else (first.folder.path, first.data, first.datamodule.sizes))
    if first is not None or facts is None:
        return cast(RunSetup, first)
    path, data, sizes = facts
    return _set_up_other(config, RunFolder(path), data, sizes, processes, resume=resume_from is not None)


def _set_up_first(
    config: RunConfig,
    resume_from: RunFolder | None,
    processes: Processes,
    printer: Printer,
    shared: SharedCache | None,
) -> RunSetup:
    """The setup of the first process; all errors of the user are raised before the run folder is written."""
    from visionkit.runs.checkpoint import build_run_model
    from visionkit.training.teacher import make_distillation

    if resume_from is not None:
        check_resumable(config, resume_from)
    folder = resume_from or RunFolder.plan(config.name, config.run_dir)
    try:
        if resume_from is None:
            folder.reserve()
        folder.lock()
        datamodule = config.datamodule(folder.splits_file, shared=shared)
        datamodule.prepare_data()
        stored = None if resume_from is None else stored_data_info(resume_from, datamodule)
        datamodule.setup("fit")
        notes = _check_batches(config, resume_from, processes, num_images=datamodule.sizes["train"])
        data = stored or data_info(config, datamodule)
        model = build_run_model(config.backbone, config.head, data)
        weight_notes = initialize_weights(model, config, data) if stored is None else []
        distillation = make_distillation(config, data, model)
    except BaseException:
        folder.discard()
        raise
    folder.start(config.plain, resume=resume_from is not None)
    folder.write_json(folder.data_file, data)
    printer.log_to(folder.log_file)
    return RunSetup(config, folder, printer, processes, datamodule, data, model, distillation, weight_notes, notes)


def _check_batches(
    config: RunConfig, resume_from: RunFolder | None, processes: Processes, *, num_images: int
) -> list[str]:
    """Notes about the batch and the learning rate.

    Raises:
        UserError: If batch norm or ``recipe.mix`` cannot work with such a batch; with ``strict``, if it is larger than
            the split.
    """
    from visionkit.training.notes import batch_note, rate_note, steps_note

    recipe, count = config.recipe, processes.count
    check_mixing_batch(recipe.mix, batch_size=min(recipe.batch_size, num_images), num_processes=count)
    check_batch_norm(config, batch_size=min(recipe.batch_size, num_images), num_processes=count)
    of_batch = batch_note(recipe.batch_size, num_images, count)
    if of_batch is not None and config.strict:
        raise UserError(of_batch)
    is_cut = config.debug.limit_batches is not None or config.debug.epochs is not None
    of_steps = None if is_cut or of_batch is not None else steps_note(recipe, num_images)
    of_rate = None
    if resume_from is not None:
        previous, num_epochs = resume_from.read_config(), len(resume_from.read_history())
        of_rate = rate_note(recipe, previous, num_epochs=num_epochs, num_images=num_images)
    lines = (("batch", of_batch), ("steps", of_steps), ("rate", of_rate))
    return [f"{name:<8} {note}" for name, note in lines if note is not None]


def _set_up_other(
    config: RunConfig,
    folder: RunFolder,
    data: dict[str, Any],
    sizes: dict[str, int],
    processes: Processes,
    *,
    resume: bool,
) -> RunSetup:
    """The setup of another process; its weights are broadcast from the first one when training begins."""
    from visionkit.runs.checkpoint import build_run_model
    from visionkit.training.teacher import make_distillation

    if resume and not (folder.last_checkpoint.is_file() or folder.best_checkpoint.is_file()):
        raise UserError(
            f"resume: this machine does not see '{folder.last_checkpoint}'. A run in several processes goes on where "
            "all machines see its folder. Try hardware.num_nodes=1, or copy the folder to the same place"
        )
    datamodule = config.datamodule(folder.splits_file if folder.splits_file.exists() else None)
    datamodule.prepare_data()
    datamodule.setup("fit")
    if datamodule.sizes != sizes:
        raise UserError(
            f"dataset: the first process has {sizes}, another machine {datamodule.sizes} images. Expected the same "
            "data on every machine. Compare their dataset.root"
        )
    model = build_run_model(config.backbone, config.head, data)
    distillation = make_distillation(config, data, model)
    return RunSetup(config, folder, Printer.silent(), processes, datamodule, data, model, distillation)
