"""With what a run was made: versions and hardware, no names of machines or people."""

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

__all__ = ["cpu_model", "describe_environment"]

PACKAGES = ("visionkit", "torch", "torchvision", "lightning", "torchmetrics", "numpy")


def describe_environment() -> dict[str, Any]:
    """Versions of Python and the packages that compute, CPU model and cores, GPU names."""
    import torch

    from visionkit.data.memory import available_cores

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


def cpu_model() -> str:
    """The processor's name, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
