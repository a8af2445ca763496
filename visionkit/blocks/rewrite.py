"""Rewrites of an expanded tree: dilation instead of stride, and stochastic depth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from visionkit.blocks.tree import Block, Gate, Node, Primitive, Residual, Sequential

__all__ = ["apply_stochastic_depth", "count_residual_blocks", "replace_stride_with_dilation"]


def replace_stride_with_dilation(
    node: Node, output_stride: int, *, stride: int = 1, dilation: int = 1
) -> tuple[Node, int, int]:
    """Replace strides by dilation where the total stride would exceed ``output_stride``.

    Later convolutions are dilated by the removed strides, so that they see the same pixels (Chen et al. 2017,
    arXiv:1706.05587, section 3.1). Pools that lose their stride are removed; pools of stride 1 are kept.

    Args:
        node: An expanded tree.
        output_stride: The largest total stride.
        stride: Total stride of the input.
        dilation: Product of the strides removed before.

    Returns:
        The tree, its total stride, and the dilation of the layers that follow it.
    """
    if isinstance(node, Primitive):
        factor = node.stride_factor
        keep = stride * factor <= output_stride
        node = node.dilate(dilation, keep_stride=keep)
        return (node, stride * factor, dilation) if keep else (node, stride, dilation * factor)
    assert not isinstance(node, Block), "expand the tree first"
    children: dict[str, Node] = {}
    states = [(stride, dilation)]
    for name, child in node.children.items():
        state = states[-1] if isinstance(node, Sequential) else states[0]
        children[name], *end = replace_stride_with_dilation(child, output_stride, stride=state[0], dilation=state[1])
        states.append((end[0], end[1]))
    if isinstance(node, Gate):
        return node.with_children(children), stride, dilation
    return node.with_children(children), *max(states[-1], states[min(1, len(states) - 1)])


def count_residual_blocks(node: Node) -> int:
    """How many residual blocks an expanded tree has."""
    if isinstance(node, Block):
        return 0
    return isinstance(node, Residual) + sum(count_residual_blocks(child) for child in node.children.values())


def apply_stochastic_depth(node: Node, probabilities: Iterator[float]) -> Node:
    """Set the drop probability of each residual block (stochastic depth, Huang et al. 2016, section 3).

    Args:
        node: An expanded tree.
        probabilities: One per residual block, in the order of execution.
    """
    if isinstance(node, Block):
        return node
    if isinstance(node, Residual):
        node = replace(node, drop_probability=next(probabilities))
    return node.with_children(
        {name: apply_stochastic_depth(child, probabilities) for name, child in node.children.items()}
    )
