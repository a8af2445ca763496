"""Objects for processes that are started afresh: pickled once, with their arrays in shared memory."""

from __future__ import annotations

import io
import os
import pickle
from typing import Any, Generic, TypeVar

import numpy
import torch
from torch import Tensor

from visionkit.errors import UserError

__all__ = ["SHARED_MEMORY", "SharedPickle", "free_shared_memory"]

_MIN_BYTES = 1 << 14  # an array of less is pickled: a segment of shared memory takes whole pages and an open file
SHARED_MEMORY = "/dev/shm"

T = TypeVar("T")


def free_shared_memory() -> int | None:
    """The bytes of shared memory that are free; None where the system has no place of its own for it."""
    if not os.path.isdir(SHARED_MEMORY):
        return None
    status = os.statvfs(SHARED_MEMORY)
    return status.f_bavail * status.f_frsize


class SharedPickle(Generic[T]):
    """An object that several processes load without a copy of its tensors and large arrays each.

    Its tensors are moved to shared memory in place, so that ``value`` itself sees what other processes write into them;
    its NumPy arrays are copied there once.

    Args:
        value: The object; all that it refers to can be pickled.

    Raises:
        UserError: If something cannot be pickled, or shared memory is too small.
    """

    def __init__(self, value: T) -> None:
        file = io.BytesIO()
        pickler = _Pickler(file)
        try:
            pickler.dump(value)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise UserError(
                f"dataset.num_workers: worker processes are started afresh on this system, and they cannot be given "
                f"this data set: {error}. Expected classes and functions at the top of a module, no lambda and none "
                "defined within a function. Try: dataset.num_workers=0"
            ) from error
        _check_space(pickler.num_bytes)
        self._pickled, self._buffers = file.getvalue(), [_to_shared(buffer) for buffer in pickler.buffers]

    def load(self) -> T:
        """The object, in another process or in this one; its arrays lie in the shared memory."""
        value: T = _Unpickler(io.BytesIO(self._pickled), self._buffers).load()
        return value


class _Pickler(pickle.Pickler):
    """Pickles all but tensors and large arrays, which it collects."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, protocol=pickle.HIGHEST_PROTOCOL)
        self.buffers: list[Any] = []
        self.num_bytes = 0
        self._positions: dict[int, int] = {}

    def persistent_id(self, value: Any) -> Any:
        is_array = type(value) is numpy.ndarray
        if is_array and (value.nbytes < _MIN_BYTES or value.dtype.hasobject or not value.flags.c_contiguous):
            return None
        if not is_array and not isinstance(value, Tensor):
            return None
        if id(value) not in self._positions:
            self._positions[id(value)] = len(self.buffers)
            self.buffers.append(value)
            self.num_bytes += value.nbytes if is_array or not value.is_shared() else 0
        position = self._positions[id(value)]
        return (position, value.dtype, value.shape) if is_array else (position, None, None)


class _Unpickler(pickle.Unpickler):
    """Puts the buffers back where `_Pickler` found them."""

    def __init__(self, file: io.BytesIO, buffers: list[Tensor]) -> None:
        super().__init__(file)
        self._buffers = buffers

    def persistent_load(self, key: Any) -> Any:
        position, dtype, shape = key
        tensor = self._buffers[position]
        return tensor if dtype is None else tensor.numpy().view(dtype).reshape(shape)


def _to_shared(buffer: Any) -> Tensor:
    """A tensor whose memory is shared: the tensor itself, or a copy of an array's bytes, uint8."""
    if isinstance(buffer, Tensor):
        return buffer.share_memory_()  # type: ignore[no-untyped-call, no-any-return]
    shared = torch.empty(buffer.nbytes, dtype=torch.uint8).share_memory_()  # type: ignore[no-untyped-call]
    shared.numpy()[:] = buffer.reshape(-1).view(numpy.uint8)
    return shared  # type: ignore[no-any-return]


def _check_space(num_bytes: int) -> None:
    """Containers often have 64 MiB of shared memory; a process that writes beyond it is killed without a word.

    Raises:
        UserError: If fewer bytes are free.
    """
    free = free_shared_memory()
    if free is not None and num_bytes > free:
        raise UserError(
            f"dataset.num_workers: worker processes share {num_bytes / 2**20:,.0f} MiB of images and annotations, but "
            f"{SHARED_MEMORY} has {free / 2**20:,.0f} MiB free. Expected more, as by docker run --shm-size=8g. "
            "Try: dataset.num_workers=0"
        )
