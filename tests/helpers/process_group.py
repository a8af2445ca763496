"""Several processes that form a group, for tests of what is the same in all of them."""

import datetime
import multiprocessing
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import distributed


def run_in_group(count: int, work: Callable[..., Any], *arguments: Any, folder: Path) -> list[Any]:
    """What ``work(rank, *arguments)`` gives in each of some forked processes, by rank."""
    context = multiprocessing.get_context("fork")
    results: Any = context.Queue()
    meeting = folder / f"group-{len(list(folder.glob('group-*')))}"
    processes = [
        context.Process(target=_member, args=(rank, count, meeting, results, work, arguments)) for rank in range(count)
    ]
    for process in processes:
        process.start()
    found = dict(results.get(timeout=60) for _ in processes)
    for process in processes:
        process.join(timeout=60)
    return [found[rank] for rank in range(count)]


def _member(rank: int, count: int, meeting: Path, results: Any, work: Callable[..., Any], arguments: Any) -> None:
    torch.set_num_threads(1)
    wait = datetime.timedelta(seconds=30)
    distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=count, timeout=wait)
    _wait_for_all(rank, count, meeting)
    try:
        results.put((rank, work(rank, *arguments)))
    except BaseException as error:
        results.put((rank, error))
    distributed.destroy_process_group()


def _wait_for_all(rank: int, count: int, meeting: Path) -> None:
    """Whoever leaves while another still connects would break that one's start; the group itself is left alone."""
    places = [meeting.with_name(f"member-{each}-of-{meeting.name}") for each in range(count)]
    places[rank].touch()
    until = time.monotonic() + 30
    while not all(place.exists() for place in places) and time.monotonic() < until:
        time.sleep(0.005)
