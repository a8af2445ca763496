"""From the wish (``hardware=auto``) to the device there is."""

import os
import platform
from pathlib import Path
from typing import Any

import torch

from visionkit.errors import UserError
from visionkit.settings import Hardware

__all__ = ["choose_accelerator", "count_devices", "device_name", "torch_device", "available_cores", "cpu_model"]

ALWAYS_ALLOWED = 8
"""Processes that a CPU may be divided among whatever it is like, so that a run of a larger machine can be tried."""


def choose_accelerator(hardware: Hardware) -> str:
    """``cuda``, ``mps`` or ``cpu``.

    Raises:
        UserError: If the accelerator asked for is not there, or cannot compute in the precision.
    """

    cuda = torch.cuda.is_available()
    mps = torch.backends.mps.is_available()
    if hardware.accelerator == "auto":
        chosen = "cuda" if cuda else "mps" if mps else "cpu"
    elif hardware.accelerator == "gpu":
        chosen = "cuda" if cuda else "mps"
        if not (cuda or mps):
            raise UserError(
                "hardware: a GPU was asked for, but torch finds none "
                f"(torch {torch.__version__}, CUDA {torch.version.cuda or 'not built in'}, "
                f"{torch.get_num_threads()} CPU threads). Try: hardware=cpu"
            )
    else:
        chosen = hardware.accelerator
        if chosen == "mps" and not mps:
            raise UserError("hardware.accelerator: found 'mps', but there is no Apple GPU here. Try: hardware=auto")
    if chosen == "cpu" and hardware.precision == "16":
        raise UserError(
            "hardware.precision: found 16, which needs a GPU, but the device is the CPU. Try: hardware.precision=bf16"
        )
    return chosen


def count_devices(hardware: Hardware, accelerator: str, *, started: int | None = None) -> int:
    """How many processes this machine has: one for each device.

    Args:
        hardware: What is asked for.
        accelerator: What it is asked of, as `choose_accelerator` says.
        started: As many have been started already, by torchrun or srun.

    Raises:
        UserError: If there are fewer devices, they cannot work together, or another number has been started.
    """

    there = torch.cuda.device_count() if accelerator == "cuda" else 1
    wanted = there if hardware.devices == "auto" else hardware.devices
    if started is not None:
        if hardware.devices not in ("auto", 1, started):
            raise UserError(
                f"hardware.devices: found {hardware.devices}, but {started} process(es) were started on this machine "
                f"from outside. Leave hardware.devices away, or start python -m visionkit without torchrun or srun."
            )
        wanted = started
    several = wanted * hardware.num_nodes > 1
    if accelerator == "cuda" and wanted > there:
        raise UserError(
            f"hardware.devices: {wanted} GPUs were asked for, but there {'is' if there == 1 else 'are'} {there} here. "
            f"Try: hardware.devices={there}"
        )
    if accelerator == "cpu" and started is None:
        _check_cores(wanted)
    if accelerator == "mps" and several:
        raise UserError("hardware.devices: an Apple GPU serves one process. Try: hardware.devices=1, or hardware=cpu")
    return wanted


def _check_cores(wanted: int) -> None:
    """More processes than cores only wait for one another."""
    from visionkit.distributed.devices import available_cores

    cores = available_cores()
    most = max(cores, ALWAYS_ALLOWED)
    if wanted > most:
        raise UserError(
            f"hardware.devices: {wanted} processes were asked for, but this machine has {cores} "
            f"core{'' if cores == 1 else 's'} for them. Expected one process per core at most (up to {ALWAYS_ALLOWED} "
            f"are taken anywhere, to try what a larger machine would do). Try: hardware.devices={cores}"
        )


def device_name(accelerator: str) -> str:
    """The device in words."""

    from visionkit.distributed.devices import cpu_model

    if accelerator == "cuda":
        return str(torch.cuda.get_device_name(0))
    return "Apple GPU (MPS)" if accelerator == "mps" else f"CPU ({cpu_model()}, {torch.get_num_threads()} threads)"


def torch_device(accelerator: str) -> Any:
    """The `torch.device` behind the word."""

    return torch.device(accelerator, 0) if accelerator == "cuda" else torch.device(accelerator)


def available_cores() -> int:
    """The processor cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def cpu_model() -> str:
    """The processor's name, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
