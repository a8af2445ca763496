"""The end of the freezing of a backbone's first stages."""

from typing import Any

from lightning.pytorch.strategies import DDPStrategy

__all__ = ["thaw"]


def thaw(task: Any) -> None:
    """Train all stages of the backbone from now on; nothing is done where none is frozen any more.

    DDP averages the gradients of the parameters that were trained when it was made: it is made anew, at the beginning
    of an epoch, when all processes hold the same buffers.

    Args:
        task: The `visionkit.tasks.base.VisionTask` that is trained; its optimizer has the frozen parameters already.
    """
    backbone = task.model.backbone
    if not backbone.num_frozen_stages:
        return
    backbone.freeze(0)
    strategy = task.trainer.strategy
    if isinstance(strategy, DDPStrategy):
        strategy.model = strategy.lightning_module
        strategy.configure_ddp()
