"""What belongs to the caller in Python: random states, which a run sets by its seed, and torch's flags and modes."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator

import torch

from visionkit.data.sample_seeds import preserved_generators
from visionkit.errors import UserError

__all__ = ["keep_caller_state", "keep_random_state", "plain_torch"]

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
def plain_torch() -> Iterator[None]:
    """A context in which torch makes float32 tensors on the CPU, with gradients and in full precision.

    A caller's modes would else be those of the run: its default dtype and device, `torch.inference_mode` and autocast.
    """
    dtype = torch.get_default_dtype()
    with contextlib.ExitStack() as modes:
        if torch.is_inference_mode_enabled():
            modes.enter_context(torch.inference_mode(False))
        if torch.get_default_device().type != "cpu":
            modes.enter_context(torch.device("cpu"))
        for kind in ("cpu", "cuda"):
            if torch.is_autocast_enabled(kind):
                modes.enter_context(torch.autocast(kind, enabled=False))
        torch.set_default_dtype(torch.float32)
        try:
            yield
        finally:
            torch.set_default_dtype(dtype)


@contextlib.contextmanager
def keep_caller_state() -> Iterator[None]:
    """Restore at the end all that a run sets for its whole process: random states, torch's flags, and its modes.

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
    precision, threads = torch.get_float32_matmul_precision(), torch.get_num_threads()
    deterministic = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    with keep_random_state(), plain_torch():
        try:
            yield
        finally:
            cudnn.benchmark, cudnn.deterministic = flags
            torch.set_float32_matmul_precision(precision)
            torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
            if torch.get_num_threads() != threads:
                torch.set_num_threads(threads)
