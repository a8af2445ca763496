"""From the wish (``hardware=auto``) to the device there is."""

from typing import Any

from visionkit.errors import UserError
from visionkit.training.settings import Hardware

__all__ = ["choose_accelerator", "device_name", "prepare_model", "torch_device"]


def choose_accelerator(hardware: Hardware) -> str:
    """``cuda``, ``mps`` or ``cpu``.

    Raises:
        UserError: If the accelerator asked for is not there, has more devices than are built for yet,
            or cannot compute in the precision.
    """
    import torch

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
    count = torch.cuda.device_count() if chosen == "cuda" else 1
    if hardware.devices == "auto" and count > 1:
        raise UserError(
            f"hardware.devices: found {count} GPUs, but training in several processes is not built yet. "
            "Try: hardware.devices=1"
        )
    if chosen == "cpu" and hardware.precision == "16":
        raise UserError(
            "hardware.precision: found 16, which needs a GPU, but the device is the CPU. Try: hardware.precision=bf16"
        )
    return chosen


def device_name(accelerator: str) -> str:
    """The device in words."""
    import torch

    from visionkit.training.environment import cpu_model

    if accelerator == "cuda":
        return str(torch.cuda.get_device_name(0))
    return "Apple GPU (MPS)" if accelerator == "mps" else f"CPU ({cpu_model()}, {torch.get_num_threads()} threads)"


def torch_device(accelerator: str) -> Any:
    """The `torch.device` behind the word."""
    import torch

    return torch.device(accelerator, 0) if accelerator == "cuda" else torch.device(accelerator)


def prepare_model(model: Any, hardware: Hardware) -> Any:
    """Give a `VisionModel` the memory layout and the compilation of its hardware; its state-dict keys stay."""
    if hardware.channels_last:
        model.use_channels_last()
    if hardware.compile:
        model.compile()
    return model
