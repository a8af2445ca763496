"""Less memory for training: what a stage computes is computed again for the backward pass (arXiv:1604.06174)."""

import contextlib
from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

__all__ = ["checkpointed"]


def checkpointed(stage: nn.Module, x: Tensor) -> Tensor:
    """The map of a stage, of which the backward pass finds the input alone; the numbers are those of ``stage(x)``.

    What the stage draws is drawn again as before, and running statistics are updated once.

    Args:
        stage: A module from one map to another.
        x: (B, C, H, W) floating point.
    """

    def contexts() -> tuple[Any, Any]:
        return contextlib.nullcontext(), _copied_buffers(stage)

    out: Tensor = checkpoint(stage, x, use_reentrant=False, context_fn=contexts)
    return out


@contextlib.contextmanager
def _copied_buffers(stage: nn.Module) -> Iterator[None]:
    """A context in which a module changes copies of its buffers, such as running statistics."""
    own = [(module, dict(module._buffers)) for module in stage.modules() if module._buffers]
    try:
        for module, buffers in own:
            module._buffers.update({name: None if b is None else b.clone() for name, b in buffers.items()})
        yield
    finally:
        for module, buffers in own:
            module._buffers.update(buffers)
