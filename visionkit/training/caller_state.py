"""What belongs to the caller in Python: random states, which a run sets by its own seed, and the flags of torch."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator

import torch

from visionkit.data.sample_seeds import preserved_generators
from visionkit.errors import UserError

__all__ = ["keep_caller_state", "keep_random_state"]

_lock = threading.RLock()


@contextlib.contextmanager
def keep_random_state() -> Iterator[None]:
    """Restore the states of Python's, NumPy's and torch's generators, and the environment, at the end."""
    devices = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None  # type: ignore[no-untyped-call]
    environment = dict(os.environ)
    try:
        with preserved_generators():
            yield
    finally:
        if devices is not None:
            torch.cuda.set_rng_state_all(devices)
        for name in os.environ.keys() - environment.keys():
            del os.environ[name]
        os.environ.update(environment)  # Lightning's seed is in it


@contextlib.contextmanager
def keep_caller_state() -> Iterator[None]:
    """Restore at the end all that a run sets for its whole process: random states, and the flags of torch.

    Raises:
        UserError: If another thread of this process is in such a context.
    """
    if not _lock.acquire(blocking=False):
        raise UserError(
            "another thread of this process trains or evaluates, and both set its random states. Expected one after "
            'the other. For runs side by side start processes, or: visionkit.sweep(..., "hydra/launcher=joblib")'
        )
    try:
        with _kept():
            yield
    finally:
        _lock.release()


@contextlib.contextmanager
def _kept() -> Iterator[None]:
    cudnn = torch.backends.cudnn
    flags = cudnn.benchmark, cudnn.deterministic
    precision, dtype, threads = torch.get_float32_matmul_precision(), torch.get_default_dtype(), torch.get_num_threads()
    deterministic = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    with keep_random_state():
        try:
            yield
        finally:
            cudnn.benchmark, cudnn.deterministic = flags
            torch.set_float32_matmul_precision(precision)
            torch.set_default_dtype(dtype)
            torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
            if torch.get_num_threads() != threads:
                torch.set_num_threads(threads)
