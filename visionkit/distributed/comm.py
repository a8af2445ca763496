"""What processes say to each other; alone, each call gives back what it was given.

Everything here is called by all processes of a group or by none of them.
"""

from collections.abc import Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn

__all__ = [
    "barrier",
    "broadcast_object",
    "gather_objects",
    "rank",
    "broadcast_buffers",
    "broadcast_state",
    "all_reduce_sum",
    "all_reduce_max",
    "world_size",
]

T = TypeVar("T")


def world_size() -> int:
    """How many processes there are."""
    return distributed.get_world_size() if _joined() else 1


def rank() -> int:
    """Which of them this one is, from 0."""
    return distributed.get_rank() if _joined() else 0


def all_reduce_sum(numbers: Sequence[int]) -> list[int]:
    """The sums over all processes of some whole numbers."""
    if world_size() == 1:
        return list(numbers)
    sums = torch.tensor(numbers, dtype=torch.int64)
    distributed.all_reduce(sums)
    return [int(number) for number in sums.tolist()]


def all_reduce_max(marks: Tensor) -> None:
    """Set, in place, what any process has set.

    Args:
        marks: uint8, of the same shape everywhere.
    """
    if world_size() > 1:
        distributed.all_reduce(marks, distributed.ReduceOp.MAX)


def gather_objects(thing: T) -> list[T]:
    """What each process has, in the order of their ranks, for the first process; the others get their own alone."""
    if world_size() == 1:
        return [thing]
    things: list[Any] | None = [None] * world_size() if rank() == 0 else None
    distributed.gather_object(thing, things)
    return [thing] if things is None else things


def broadcast_object(thing: T) -> T:
    """What the first process has, for all; what the others gave is not looked at."""
    if world_size() == 1:
        return thing
    carrier = [thing if rank() == 0 else None]
    distributed.broadcast_object_list(carrier)
    found: Any = carrier[0]
    return found  # type: ignore[no-any-return]


def barrier() -> None:
    """Wait until all processes are here."""
    all_reduce_sum([0])


def broadcast_buffers(module: nn.Module) -> None:
    """Give all processes the first one's buffers, such as the running statistics of batch norm."""
    _share(list(module.buffers()))


def broadcast_state(module: nn.Module) -> None:
    """Give all processes the first one's parameters and buffers."""
    _share([*module.parameters(), *module.buffers()])


@torch.no_grad()
def _share(tensors: Sequence[Tensor]) -> None:
    if world_size() == 1:
        return
    for tensor in tensors:
        whole = tensor.contiguous()  # channels-last weights have no dense layout of their own
        distributed.broadcast(whole, 0)
        if whole is not tensor:
            tensor.copy_(whole)


def _joined() -> bool:
    return distributed.is_available() and distributed.is_initialized()
