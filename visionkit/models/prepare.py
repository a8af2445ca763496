"""A model made ready for its hardware: memory layout, precision, compilation."""

from typing import Any

from visionkit.settings import Hardware

__all__ = ["prepare_model"]


def prepare_model(model: Any, hardware: Hardware) -> Any:
    """Give a `VisionModel` the norms, the memory layout and the compilation of its hardware; state-dict keys stay."""
    from visionkit.distributed.comm import world_size
    from visionkit.distributed.sync_batch_norm import convert_batch_norm

    if hardware.sync_batch_norm and world_size() > 1:
        convert_batch_norm(model)
    in_parts = hardware.strategy == "fsdp" and world_size() > 1  # torch's parts are cut from plain layouts alone
    if hardware.channels_last and not in_parts:
        model.use_channels_last()
    if hardware.compile:
        model.compile()
    return model
