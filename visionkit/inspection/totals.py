"""Sums and peaks over a whole network."""

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
    """The totals of a network.

    Attributes:
        parameters: Trainable parameters of all layers.
        trainable_parameters: Those that are trained, all at present.
        neurons: Outputs that are weighted sums.
        connections: Weights and biases summed over all neurons, shared ones counted each time.
        macs: Multiplications with a weight for one image.
        peak_inference_memory: Peak bytes of the maps of a batch in float32 in inference, by the rules of
            `visionkit.inspection.memory`; None if unknown.
        peak_training_memory: The same for a forward and a backward pass.
        batch_size: Images in the batch.
        weights_size: Bytes of the numbers in ``model.safetensors``: parameters and the norms' running statistics.
        checkpoint_size: Bytes of the numbers in ``checkpoints/last.ckpt``: these and the optimizer's state. The
            file is larger by some hundred bytes per tensor.
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
        """Plain values of all fields."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def totals(net: Network, *, batch_size: int, optimizer: Optimizer) -> Totals:
    """Add up a network's layers.

    Args:
        net: The traced network.
        batch_size: Images in a batch.
        optimizer: The optimizer whose state a checkpoint contains.
    """
    parameters = sum(part.parameters for part in net.parts)
    buffers = sum(
        p.node.memory(p.before).buffer_bytes for p in net.primitives if isinstance(p.node, Primitive) and not p.shared
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
    """Numbers in the optimizer's state per parameter: a momentum buffer for SGD, two moments for Adam."""
    if isinstance(optimizer, Adam):
        return 2
    return 1 if isinstance(optimizer, Sgd) and optimizer.momentum else 0
