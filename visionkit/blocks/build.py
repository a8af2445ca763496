"""From an expanded tree of blocks to torch modules."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from visionkit.blocks.shapes import FeatureShape
from visionkit.blocks.trace import LayerRecord, trace
from visionkit.blocks.tree import Concat, Gate, Node, Primitive, Residual, Sequential

if TYPE_CHECKING:
    from torch import nn

__all__ = ["build"]


def build(node: Node, shape: FeatureShape) -> tuple[nn.Module, FeatureShape]:
    """Build the torch module of an expanded tree.

    Args:
        node: A tree of primitives and combinators, as `visionkit.blocks.trace.expand` returns it.
        shape: The input shape; layers take their input channels from it.

    Returns:
        The module, freshly initialised, and its output shape.
    """
    record = trace(node, shape)
    return _module(record), record.after


def _module(record: LayerRecord) -> nn.Module:
    from visionkit import layers

    if isinstance(record.node, Primitive):
        module = record.node.build(record.before)
    else:
        module = _combine(record.node, {child.path[-1]: _module(child) for child in record.children})
    if record.in_place:
        layers.set_inplace(module)
    return module


def _combine(node: Node, modules: dict[str, nn.Module]) -> nn.Module:
    """The module of a combinator from those of its children."""
    from torch import nn

    from visionkit import layers

    if isinstance(node, Sequential):
        return nn.Sequential(OrderedDict(modules))
    if isinstance(node, Residual):
        return layers.Residual(**modules, drop_probability=node.drop_probability)
    if isinstance(node, Concat):
        return layers.Concat(modules)
    assert isinstance(node, Gate)
    return layers.Gate(**modules)
