"""Collective operations over the processes of a run; in a single process each returns its input.

A collective operation must be called by all processes of the group, in the same order.
"""

from collections.abc import Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn

__all__ = [
    "all_reduce_max",
    "all_reduce_sum",
    "barrier",
    "broadcast_buffers",
    "broadcast_object",
    "broadcast_state",
    "broadcast_tensors",
    "gather_objects",
    "rank",
    "world_size",
]

T = TypeVar("T")


def world_size() -> int:
    """The number of processes of the group; 1 without a group."""
    return distributed.get_world_size() if _initialized() else 1


def rank() -> int:
    """The index of this process in the group, from 0."""
    return distributed.get_rank() if _initialized() else 0


def all_reduce_sum(values: Sequence[int]) -> list[int]:
    """The sum over all processes of each integer of a list of equal length."""
    if world_size() == 1:
        return list(values)
    sums = torch.tensor(values, dtype=torch.int64)
    distributed.all_reduce(sums)
    return [int(value) for value in sums.tolist()]


def all_reduce_max(flags: Tensor) -> None:
    """Replace a tensor, in place, by its element-wise maximum over all processes.

    Args:
        flags: uint8, of the same shape in every process.
    """
    if world_size() > 1:
        distributed.all_reduce(flags, distributed.ReduceOp.MAX)


def gather_objects(obj: T) -> list[T]:
    """In the first process the objects of all, ordered by rank; in the others a list of their own object only."""
    if world_size() == 1:
        return [obj]
    objects: list[Any] | None = [None] * world_size() if rank() == 0 else None
    distributed.gather_object(obj, objects)
    return [obj] if objects is None else objects


def broadcast_object(obj: T) -> T:
    """The object of the first process, in all processes; the arguments of the others are ignored."""
    if world_size() == 1:
        return obj
    carrier = [obj if rank() == 0 else None]
    distributed.broadcast_object_list(carrier)
    received: Any = carrier[0]
    return received  # type: ignore[no-any-return]


def barrier() -> None:
    """Wait until all processes have called this."""
    all_reduce_sum([0])


def broadcast_buffers(module: nn.Module) -> None:
    """Copy the first process's buffers, such as the running statistics of batch norm, to all processes."""
    broadcast_tensors(list(module.buffers()))


def broadcast_state(module: nn.Module) -> None:
    """Copy the first process's parameters and buffers to all processes."""
    broadcast_tensors([*module.parameters(), *module.buffers()])


@torch.no_grad()
def broadcast_tensors(tensors: Sequence[Tensor]) -> None:
    """Copy the first process's tensors to all processes, in place."""
    if world_size() == 1:
        return
    for tensor in tensors:
        contiguous = tensor.contiguous()  # collectives need contiguous tensors, which channels-last weights are not
        distributed.broadcast(contiguous, 0)
        if contiguous is not tensor:
            tensor.copy_(contiguous)


def _initialized() -> bool:
    return distributed.is_available() and distributed.is_initialized()
