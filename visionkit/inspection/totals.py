"""What is known of the whole."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from visionkit.blocks import Primitive
from visionkit.blocks.shapes import BYTES
from visionkit.inspection.network import Network
from visionkit.settings import Adam, Optimizer, Sgd

__all__ = ["Totals", "totals"]


@dataclass(frozen=True, kw_only=True)
class Totals:
    """The sums and peaks of a network.

    Attributes:
        parameters: Independent trainable numbers.
        trainable_parameters: Those of them that train with the given configuration.
        neurons: Numbers that are weighted sums.
        connections: Weights and biases of all neurons, shared ones counted each time.
        macs: Multiplications with a weight for one image.
        peak_inference_memory: Bytes of the maps of a batch in float32 at the worst moment of inference;
            `visionkit.inspection.memory` says which maps live when. None where a part is known as a whole alone.
        peak_training_memory: The same of one forward and one backward pass.
        batch_size: Images in the batch.
        weights_size: Bytes of the numbers in ``model.safetensors``: parameters and the norms' running statistics.
        checkpoint_size: Bytes of the numbers in ``checkpoints/last.ckpt``: these and the optimizer's state. A file
            adds some hundred bytes per tensor for names.
    """

    parameters: int
    trainable_parameters: int
    neurons: int
    connections: int
    macs: int
    peak_inference_memory: int | None
    peak_training_memory: int | None
    batch_size: int
    weights_size: int
    checkpoint_size: int

    def to_json(self) -> dict[str, Any]:
        """All of them by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def totals(net: Network, *, batch_size: int, optimizer: Optimizer) -> Totals:
    """Add up a network's layers.

    Args:
        net: The network.
        batch_size: Images that are looked at together.
        optimizer: Whose state a checkpoint holds.
    """
    parameters = sum(part.parameters for part in net.parts)
    buffers = sum(
        p.node.buffer_bytes(p.before) for p in net.primitives if isinstance(p.node, Primitive) and not p.shared
    )
    weights = BYTES * parameters + buffers
    return Totals(
        parameters=parameters,
        trainable_parameters=parameters,
        neurons=sum(part.neurons for part in net.parts),
        connections=sum(part.connections for part in net.parts),
        macs=sum(part.macs for part in net.parts),
        peak_inference_memory=None if net.memory is None else batch_size * net.memory.inference,
        peak_training_memory=None if net.memory is None else batch_size * net.memory.training,
        batch_size=batch_size,
        weights_size=weights,
        checkpoint_size=weights + BYTES * parameters * _state_per_parameter(optimizer),
    )


def _state_per_parameter(optimizer: Optimizer) -> int:
    """Numbers the optimizer keeps of each parameter: its momentum; of Adam, the mean gradient and its square."""
    if isinstance(optimizer, Adam):
        return 2
    return 1 if isinstance(optimizer, Sgd) and optimizer.momentum else 0
