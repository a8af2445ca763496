"""Looks at many files by several processes, with progress."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy
from numpy.typing import NDArray

from visionkit.distributed.devices import available_cores

__all__ = ["LookFn", "look_at"]

LookFn = Callable[[Sequence[bytes]], NDArray[Any]]
"""Paths to a record of each."""

_CHUNK = 256
_FEW = 2_000
"""So many files are looked at in this process: others take a second to start."""


def look_at(paths: Sequence[bytes], look: LookFn, *, advance: Callable[[int], Any]) -> NDArray[Any]:
    """The records of all files, in their order.

    Args:
        paths: The files.
        look: A function at the top of a module that imports no torch.
        advance: Told how many files have been looked at since it was told last.
    """
    chunks = [paths[start : start + _CHUNK] for start in range(0, len(paths), _CHUNK)]
    wanted = 1 if len(paths) <= _FEW else available_cores()
    records = list[NDArray[Any]]()
    for found in _looks(chunks, look, num_processes=wanted):
        records.append(found)
        advance(len(found))
    return numpy.concatenate(records) if records else look([])


def _looks(chunks: Sequence[Sequence[bytes]], look: LookFn, *, num_processes: int) -> Iterator[NDArray[Any]]:
    if num_processes == 1:
        yield from map(look, chunks)
        return
    context = multiprocessing.get_context("spawn")  # threads of torch do not survive a fork
    with ProcessPoolExecutor(num_processes, mp_context=context) as pool:
        try:
            yield from pool.map(look, chunks)
        finally:
            pool.shutdown(cancel_futures=True)
