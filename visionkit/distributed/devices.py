"""Choice of the accelerator and of the number of processes on this machine."""

import os
import platform
from pathlib import Path
from typing import Any

import torch

from visionkit.errors import UserError
from visionkit.settings import Hardware

__all__ = ["available_cores", "choose_accelerator", "count_devices", "cpu_model", "device_name", "torch_device"]

MIN_PROCESS_LIMIT = 8
"""The number of CPU processes allowed on any machine, so that a run of a larger machine can be tried."""


def choose_accelerator(hardware: Hardware) -> str:
    """Choose ``cuda``, ``mps`` or ``cpu`` from ``hardware.accelerator`` and what torch finds on this machine.

    Raises:
        UserError: If the requested accelerator is not available, or does not support the precision.
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
    """The number of processes on this machine, one per device.

    Args:
        hardware: The requested number of devices.
        accelerator: The result of `choose_accelerator`.
        started: The number of processes that torchrun or srun has started on this machine; None without them.

    Raises:
        UserError: If there are fewer devices, they do not support several processes, or another number of processes
            has been started.
    """
    available = torch.cuda.device_count() if accelerator == "cuda" else 1
    num_processes = available if hardware.devices == "auto" else hardware.devices
    if started is not None:
        if hardware.devices not in ("auto", 1, started):
            raise UserError(
                f"hardware.devices: found {hardware.devices}, but {started} process(es) were started on this machine "
                f"from outside. Leave hardware.devices away, or start python -m visionkit without torchrun or srun."
            )
        num_processes = started
    multiple = num_processes * hardware.num_nodes > 1
    if accelerator == "cuda" and num_processes > available:
        raise UserError(
            f"hardware.devices: {num_processes} GPUs were asked for, but there "
            f"{'is' if available == 1 else 'are'} {available} here. Try: hardware.devices={available}"
        )
    if accelerator == "cpu" and started is None:
        _check_cores(num_processes)
    if accelerator == "mps" and multiple:
        raise UserError("hardware.devices: an Apple GPU serves one process. Try: hardware.devices=1, or hardware=cpu")
    return num_processes


def _check_cores(num_processes: int) -> None:
    """Refuse more processes than cores: they would only compete for them."""
    cores = available_cores()
    limit = max(cores, MIN_PROCESS_LIMIT)
    if num_processes > limit:
        raise UserError(
            f"hardware.devices: {num_processes} processes were asked for, but this machine has {cores} "
            f"core{'' if cores == 1 else 's'} for them. Expected one process per core at most "
            f"(up to {MIN_PROCESS_LIMIT} are taken anywhere, to try what a larger machine would do). "
            f"Try: hardware.devices={cores}"
        )


def device_name(accelerator: str) -> str:
    """The device's name for messages."""
    if accelerator == "cuda":
        return str(torch.cuda.get_device_name(0))
    return "Apple GPU (MPS)" if accelerator == "mps" else f"CPU ({cpu_model()}, {torch.get_num_threads()} threads)"


def torch_device(accelerator: str) -> Any:
    """The `torch.device` of an accelerator, of a GPU the first one."""
    return torch.device(accelerator, 0) if accelerator == "cuda" else torch.device(accelerator)


def available_cores() -> int:
    """The number of processor cores that this process may use."""
    get_affinity = getattr(os, "sched_getaffinity", None)
    return len(get_affinity(0)) if get_affinity is not None else os.cpu_count() or 1


def cpu_model() -> str:
    """The processor's name as the operating system reports it, else its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
