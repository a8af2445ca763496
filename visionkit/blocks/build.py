"""Torch modules of an opened tree of blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from visionkit.blocks.shapes import FeatureShape
from visionkit.blocks.trace import joined, writes_in_place
from visionkit.blocks.tree import Block, Node, Primitive, Sequential

if TYPE_CHECKING:
    from torch import nn

__all__ = ["build"]


def build(node: Node, shape: FeatureShape) -> tuple[nn.Module, FeatureShape]:
    """Make the torch module of an opened tree.

    Args:
        node: An opened tree.
        shape: What comes in; layers take their input channels from it.

    Returns:
        The module, with freshly initialised weights, and the shape behind it.
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
            layers.overwrite_input(modules[name])
        outputs.append(after)
        previous = child
    return layers.COMBINE[type(node).__name__](node, modules), joined(node, shape, outputs, ())
