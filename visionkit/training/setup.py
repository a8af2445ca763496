"""A training made ready: its folder, data and model, the same in each of its processes."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from visionkit.console import Printer
from visionkit.errors import UserError
from visionkit.runs.folder import RunFolder
from visionkit.schema import describe
from visionkit.training.model import build_model, data_info, load_initial_weights
from visionkit.training.resume import check_resumable, stored_data_info

if TYPE_CHECKING:
    from visionkit.data.shared_cache import SharedCache
    from visionkit.distributed.processes import Processes
    from visionkit.runs.config import RunConfig

__all__ = ["RunSetup", "check_processes", "check_same_command", "launch_training", "set_up"]

_OF_EACH_MACHINE = frozenset(
    {
        "dataset.cache_mb", "dataset.num_workers", "dataset.root", "format", "hardware.devices", "hardware.node_rank",
        "hardware.rendezvous", "hardware.timeout", "run_dir", "weights",
    }
)  # fmt: skip


@dataclass(frozen=True)
class RunSetup:
    """What the steps of a training share."""

    config: RunConfig
    folder: RunFolder
    printer: Printer
    processes: Processes
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


def check_processes(config: RunConfig, processes: Processes, *, watched: bool) -> None:
    """Make sure that a training can be spread as it is to be.

    Args:
        config: The run.
        processes: What it is to be spread over.
        watched: Whether callbacks of this process are to look on.

    Raises:
        UserError: If the global batch does not divide, or callbacks are to look on from another process.
    """
    if processes.count == 1:
        return
    from visionkit.data.sampler import check_batch_size

    check_batch_size(config.recipe.batch_size, processes.count)
    if watched:
        raise UserError(
            f"hardware.devices: found {processes.count} processes, but what looks on while a run trains, as a "
            "search that prunes its runs does, sees one process alone. Try: hardware.devices=1, or no pruning"
        )


def check_same_command(plain: Mapping[str, Any]) -> None:
    """Make sure, in all processes of a run, that the machines were given the same one.

    Else they would wait for each other for ever, or train something that nobody asked for.

    Args:
        plain: The configuration of this process.

    Raises:
        UserError: In all of them, if that of any differs from the first process's.
    """
    from visionkit.distributed.comm import all_reduce_sum, broadcast_object

    mine, first = dict(_leaves(plain)), dict(_leaves(broadcast_object(plain)))
    differ = [key for key in first | mine if mine.get(key) != first.get(key) and key not in _OF_EACH_MACHINE]
    if all_reduce_sum([len(differ)]) == [0]:
        return
    if differ:
        found, there = (describe(leaves.get(differ[0])) for leaves in (mine, first))
        raise UserError(
            f"{differ[0]}: found {found} on this machine and {there} on the first one. Expected the same command on "
            "every machine, but for its own hardware.node_rank. Type here what was typed there."
        )
    raise UserError(
        "hardware.num_nodes: another machine was given another command than this one, and says there in which key. "
        "Expected the same on every machine, but for its own hardware.node_rank."
    )


def launch_training(
    config: RunConfig, resume_from: RunFolder | None, processes: Processes, *, printer: Printer | None = None
) -> int:
    """Train in processes that are started for it.

    Args:
        config: The run.
        resume_from: The run that goes on; None for a new one.
        processes: How many.
        printer: Whether the first process says as little as one run among many; None for all there is to say.

    Returns:
        As `visionkit.distributed.launch.launch`.

    Raises:
        UserError: If the run's folder is of no use, or what a process says.
        ProcessError: If a process failed otherwise.
    """
    from visionkit.distributed.launch import launch

    if resume_from is not None:
        check_resumable(config, resume_from)
    elif config.hardware.node_rank == 0:
        RunFolder.check_free(config.run_dir)
    words = {
        "resume_from": None if resume_from is None else str(resume_from.path),
        "brief": printer is not None and printer.brief,
    }
    return launch("train", config.plain, words, processes=processes, hardware=config.hardware)


def set_up(
    config: RunConfig,
    resume_from: RunFolder | None,
    processes: Processes,
    *,
    printer: Printer | None = None,
    shared: SharedCache | None = None,
) -> RunSetup:
    """Let the first process make the run's folder, data and model, and the others theirs after it.

    Args:
        config: The run.
        resume_from: The run that goes on; None for a new one.
        processes: What it is spread over.
        printer: The first process's; a run by itself makes its own.
        shared: The data that earlier runs in this process have read.

    Raises:
        UserError: If anything is wrong; there is then no run folder.
    """
    from visionkit.distributed.comm import broadcast_object, rank
    from visionkit.training.trainer import seed

    check_same_command(config.plain)
    seed(config.seed)
    printer = printer or Printer(to_stderr=config.format == "json")
    first = _prepare_first(config, resume_from, processes, printer, shared) if rank() == 0 else None
    told = broadcast_object(None if first is None else (first.folder.path, first.data, first.datamodule.sizes))
    if first is not None or told is None:
        return cast(RunSetup, first)
    path, data, sizes = told
    return _follow(config, RunFolder(path), data, sizes, processes, resume=resume_from is not None)


def _prepare_first(
    config: RunConfig,
    resume_from: RunFolder | None,
    processes: Processes,
    printer: Printer,
    shared: SharedCache | None,
) -> RunSetup:
    """Everything that can go wrong goes wrong here, before there is a run folder."""
    if resume_from is not None:
        check_resumable(config, resume_from)
    folder = resume_from or RunFolder.plan(config.name, config.run_dir)
    config.source.check(strict=config.strict)
    try:
        if resume_from is None:
            folder.reserve()
        datamodule = config.datamodule(folder.splits_file, shared=shared)
        datamodule.prepare_data()
        known = None if resume_from is None else stored_data_info(resume_from, datamodule)
        datamodule.setup("fit")
        data = known or data_info(config, datamodule)
        model = build_model(config, data)
        start = load_initial_weights(model, config, data) if known is None else []
    except BaseException:
        folder.discard()
        raise
    folder.start(config.plain)
    folder.write_json(folder.data_file, data)
    printer.log_to(folder.log_file)
    return RunSetup(config, folder, printer, processes, datamodule, data, model, start)


def _follow(
    config: RunConfig,
    folder: RunFolder,
    data: dict[str, Any],
    sizes: dict[str, int],
    processes: Processes,
    *,
    resume: bool,
) -> RunSetup:
    """What the first process has made, once more; its weights come when training begins."""
    if resume and not folder.last_checkpoint.is_file():
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
    return RunSetup(config, folder, Printer.silent(), processes, datamodule, data, build_model(config, data))


def _leaves(plain: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and their values."""
    for key, value in plain.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
