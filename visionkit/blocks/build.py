"""From an expanded tree of blocks to torch modules."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from visionkit.blocks.shapes import FeatureShape
from visionkit.blocks.trace import joined_shape, writes_in_place
from visionkit.blocks.tree import Block, Concat, Gate, Node, Primitive, Residual, Sequential

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
    from visionkit import layers

    if isinstance(node, Primitive):
        return node.build(shape), node.output(shape)
    assert not isinstance(node, Block), "expand the tree first"
    modules: dict[str, nn.Module] = {}
    outputs: list[FeatureShape] = []
    previous: Node | None = None
    for name, child in node.children.items():
        before = outputs[-1] if outputs and isinstance(node, Sequential) else shape
        modules[name], after = build(child, before)
        if isinstance(node, Sequential) and writes_in_place(child, previous):
            layers.set_inplace(modules[name])
        outputs.append(after)
        previous = child
    return _combine(node, modules), joined_shape(node, shape, outputs, ())


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
