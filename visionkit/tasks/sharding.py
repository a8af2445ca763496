"""A model whose parameters are sharded over the processes of a run (``hardware.strategy=fsdp``)."""

from __future__ import annotations

from typing import Any

__all__ = ["hold_parameters", "shard"]


def shard(model: Any, mesh: Any) -> None:
    """Shard each child of a `visionkit.models.VisionModel`'s backbone, then the rest of the model."""
    from torch.distributed.fsdp import fully_shard

    for module in [*model.backbone.children(), model]:
        if any(True for _ in module.parameters()):
            fully_shard(module, mesh=mesh)


def hold_parameters(model: Any, *, whole: bool) -> None:
    """Gather the parameters for a validation, whose processes may have different numbers of batches; shard them again.

    Args:
        model: The sharded model.
        whole: Which of both.
    """
    from torch.distributed.fsdp import FSDPModule

    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.set_reshard_after_forward(not whole and module is not model, recurse=False)
            if whole:
                module.unshard()
            else:
                module.reshard()
