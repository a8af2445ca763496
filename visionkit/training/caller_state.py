"""What belongs to the caller in Python: the states of random generators, which a run sets by its own seed."""

from __future__ import annotations

import contextlib
import os
import random
from collections.abc import Iterator

import numpy
import torch

__all__ = ["keep_random_state"]

_SEED_VARIABLES = ("PL_GLOBAL_SEED", "PL_SEED_WORKERS")
"""Environment variables of `lightning.seed_everything`."""


@contextlib.contextmanager
def keep_random_state() -> Iterator[None]:
    """Restore the states of Python's, NumPy's and torch's generators at the end."""
    python, legacy, cpu = random.getstate(), numpy.random.get_state(), torch.get_rng_state()
    devices = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None  # type: ignore[no-untyped-call]
    variables = {name: os.environ.get(name) for name in _SEED_VARIABLES}
    try:
        yield
    finally:
        random.setstate(python)
        numpy.random.set_state(legacy)
        torch.set_rng_state(cpu)
        if devices is not None:
            torch.cuda.set_rng_state_all(devices)
        for name, value in variables.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
