"""Versions and hardware of a run, without names of machines or users."""

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

__all__ = ["describe_environment"]

PACKAGES = ("visionkit", "torch", "torchvision", "lightning", "torchmetrics", "numpy")


def describe_environment() -> dict[str, Any]:
    """Versions of Python and of `PACKAGES`, CUDA, operating system, CPU model and cores, threads, and GPU names."""
    import torch

    from visionkit.distributed.devices import available_cores, cpu_model

    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        gpus.append("Apple MPS")
    return {
        "versions": versions,
        "cuda": torch.version.cuda if gpus else None,
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": cpu_model(),
        "cpu_cores": available_cores(),
        "threads": torch.get_num_threads(),
        "gpus": gpus,
    }
