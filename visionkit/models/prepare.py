"""Preparing a model for its hardware: synchronised batch norms, memory layout, checkpointing, compilation."""

from typing import Any

from visionkit.settings import Hardware

__all__ = ["prepare_model"]


def prepare_model(model: Any, hardware: Hardware) -> Any:
    """Apply a hardware configuration to a `VisionModel` in place and return it; state-dict keys do not change."""
    from visionkit.distributed.comm import world_size
    from visionkit.distributed.devices import choose_accelerator
    from visionkit.distributed.sync_batch_norm import convert_batch_norm

    if hardware.sync_batch_norm and world_size() > 1:
        convert_batch_norm(model, on_gpu=choose_accelerator(hardware) == "cuda")
    is_sharded = hardware.strategy == "fsdp" and world_size() > 1  # FSDP shards contiguous parameters only
    if hardware.channels_last and not is_sharded:
        model.use_channels_last()
    if hardware.gradient_checkpointing:
        model.backbone.gradient_checkpointing = True
    if hardware.compile:
        model.compile()
    return model
