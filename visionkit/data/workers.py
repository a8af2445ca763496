"""Worker processes of a loader: how many there are, and an end in words if one dies or blocks."""

from __future__ import annotations

import contextlib
import re
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import Any

from torch.utils.data import DataLoader

from visionkit.data.collate.base import BatchReader
from visionkit.data.sample_seeds import preserved_random_state
from visionkit.data.sampler import BatchSampler
from visionkit.data.shared_memory import SHARED_MEMORY, free_shared_memory
from visionkit.distributed.devices import available_cores
from visionkit.errors import UserError

__all__ = ["POLL_SECONDS", "Workers", "choose_num_workers", "explain_dead_workers", "plan_workers", "watch_workers"]

POLL_SECONDS = 5
"""How often a process that waits for a batch looks whether workers live, and have read an image since."""

_STALL_POLLS = 5
_START_POLLS = 12  # until the first worker is up, which imports what this process has imported before
_PREFETCHED = 3  # batches of each worker: two that it reads ahead, and one in use
_PROBED_IMAGES = 4
_SECONDS_TO_END = 2.0
_ADVICE = "Try: dataset.num_workers=0"


@dataclass(frozen=True)
class Workers:
    """How many worker processes there are.

    Attributes:
        count: Their number.
        notes: Messages for the user.
    """

    count: int
    notes: tuple[str, ...]


def plan_workers(
    reader: BatchReader, sampler: BatchSampler, *, wanted: int | None, processes: int, on_gpu: bool
) -> Workers:
    """How many worker processes there are: as many as wanted, or none where there is no room for their batches.

    Batches are handed over in shared memory, of which containers often have 64 MiB; a worker that writes beyond it is
    killed, or waits for ever. Half of what is free is counted on, since validation has workers too.

    Args:
        reader: Reads the batches.
        sampler: Selects the images of each.
        wanted: ``dataset.num_workers``; None takes those of `choose_num_workers`.
        processes: The processes of the run on this machine, each with as many workers.
        on_gpu: Whether the model runs on a GPU.
    """
    cores = max(1, available_cores() // processes)
    count = choose_num_workers(reader, cores=cores, on_gpu=on_gpu) if wanted is None else wanted
    free = free_shared_memory()
    if count and free is not None:
        needed = _batch_bytes(reader, sampler) * count * _PREFETCHED * processes
        if 2 * needed > free:
            note = (
                f"{SHARED_MEMORY} has {free / 2**20:,.0f} MiB free, too little for {needed / 2**20:,.0f} MiB of "
                f"batches of {count} worker processes: images are read without them, as by dataset.num_workers=0, "
                "which is slower. More of it: docker run --shm-size=8g"
            )
            return Workers(0, (note,))
    if count > cores:
        note = (
            f"dataset.num_workers: {count} worker processes compete for {cores} processor core"
            f"{'' if cores == 1 else 's'}. Try: dataset.num_workers={cores}"
        )
        return Workers(count, (note,))
    return Workers(count, ())


def choose_num_workers(reader: BatchReader, *, cores: int, on_gpu: bool) -> int:
    """The number of worker processes: 0 for images in memory, unless they are augmented for a model on a GPU.

    Args:
        reader: Reads the batches.
        cores: The number of CPU cores that this process may use.
        on_gpu: Whether the model runs on a GPU.
    """
    if not reader.in_memory:
        return max(1, min(8, cores))
    if reader.augment is not None and on_gpu:
        return max(0, min(4, cores - 1))
    return 0


def watch_workers(workers: DataLoader[Any], reader: BatchReader, split: str, *, starts_afresh: bool) -> Iterator[Any]:
    """The batches of workers, for as long as they go on reading images.

    Args:
        workers: The loader.
        reader: What the workers read with; its ``progress`` is shared with them.
        split: The name of the split, for messages.
        starts_afresh: Whether workers begin as new processes, which first import torch.

    Raises:
        UserError: If a worker dies, or all have stopped reading.
    """
    watchdog = _Watchdog(workers, reader, start_polls=_START_POLLS if starts_afresh else _STALL_POLLS)
    watchdog.start()
    with explain_dead_workers(split):
        try:
            batches: Iterator[Any] | None = None
            while True:
                watchdog.waiting = True
                batches = iter(workers) if batches is None else batches
                batch = next(batches, None)
                watchdog.waiting = False
                watchdog.num_received += 1
                if batch is None:
                    return
                yield batch
        except (RuntimeError, OSError, EOFError) as error:
            if watchdog.has_killed:
                raise _blocked(split, watchdog.polls) from None
            code = None if isinstance(error, RuntimeError) else _exit_code(workers)
            if code is not None:  # it died while it handed a batch over, which torch does not notice
                raise _ended(split, (signal.strsignal(-code) if code < 0 else None) or "") from error
            raise
        finally:
            watchdog.done.set()


class _Watchdog(threading.Thread):
    """Kills workers that have stopped reading while this process waits for them.

    A time limit of its own would not do: torch may wait without one for what a worker has half handed over.

    Attributes:
        waiting: Whether a batch is waited for.
        num_received: The batches that have come.
        has_killed: Whether the workers were killed.
        polls: After how many without news they are.
        done: Ends the thread.
    """

    def __init__(self, workers: DataLoader[Any], reader: BatchReader, *, start_polls: int) -> None:
        super().__init__(daemon=True)
        self.workers, self.reader, self.start_polls = workers, reader, start_polls
        self.waiting = self.has_killed = False
        self.num_received, self.polls = 0, start_polls
        self.done = threading.Event()

    def run(self) -> None:
        """Look every `POLL_SECONDS` whether an image has been read or a batch has come since."""
        unchanged, last = 0, (-1, -1)
        while not self.done.wait(POLL_SECONDS):
            state = (int(self.reader.progress), self.num_received)
            unchanged = unchanged + 1 if self.waiting and state == last else 0
            last = state
            self.polls = _STALL_POLLS if state[0] else self.start_polls
            if unchanged >= self.polls:
                self.has_killed = True
                for process in getattr(self.workers._iterator, "_workers", []):
                    process.kill()
                return


@contextlib.contextmanager
def explain_dead_workers(split: str = "") -> Iterator[None]:
    """A context in which the death of a loader's worker, which torch raises wherever this process is, has words.

    Args:
        split: The split that it reads, if that is known.

    Raises:
        UserError: Instead of torch's RuntimeError.
    """
    try:
        yield
    except RuntimeError as error:
        found = re.match(
            r"DataLoader worker \(pid(?:\(s\))? ([\d, ]+)\) (?:is killed by signal: ([\w ]+)|exited)", str(error)
        )
        if found is None:
            raise
        raise _ended(split, (found[2] or "").strip()) from error


def _ended(split: str, how: str) -> UserError:
    reads = f" that reads the {split} split" if split else " that reads images"
    return UserError(
        f"a worker process{reads} ended unexpectedly{f' ({how})' if how else ''}: the system ends one where memory "
        "runs out, and a damaged image may crash the library that reads it. Expected it to last as long as the run. "
        f"{_ADVICE}, or a smaller recipe.batch_size"
    )


def _exit_code(workers: DataLoader[Any]) -> int | None:
    """That of a worker that has ended, or does so within seconds; None if all go on."""
    processes = getattr(workers._iterator, "_workers", [])
    ended = wait([process.sentinel for process in processes], timeout=_SECONDS_TO_END)
    for process in processes:
        if process.sentinel in ended:
            process.join(_SECONDS_TO_END)  # its files are closed a moment before it has an exit code
    return next((process.exitcode for process in processes if process.exitcode is not None), None)


def _blocked(split: str, polls: int) -> UserError:
    seconds = POLL_SECONDS * polls
    return UserError(
        f"the worker processes that read the {split} split have read no image for {seconds:g} seconds: a disk of a "
        "network may be gone, or a process was stopped. Expected one image at least in this time. "
        f"{_ADVICE}, which waits as long as it takes"
    )


def _batch_bytes(reader: BatchReader, sampler: BatchSampler) -> int:
    """The bytes of a full batch, by the first images of the split."""
    count = min(_PROBED_IMAGES, sampler.local_batch_size, sampler.num_samples)
    if not count:
        return 0
    with preserved_random_state():
        batch = reader.read(next(iter(BatchSampler(count, count, training=False, seed=sampler.seed))))
    return sum(value.nbytes for value in batch.values()) * sampler.local_batch_size // max(1, len(batch["index"]))
