"""Changes to an opened tree that concern a whole net: its stride, and the depth it trains at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from visionkit.blocks.tree import Block, Gate, Node, Primitive, Residual, Sequential

__all__ = ["count_residuals", "drop_residuals", "hold_stride"]


def hold_stride(node: Node, limit: int, *, stride: int = 1, dilation: int = 1) -> tuple[Node, int, int]:
    """Dilate what comes after ``limit`` is reached, so that the total stride never exceeds it.

    The taps of later convolutions are spread by what was taken away and so see the same pixels
    (Chen et al. 2017, arXiv:1706.05587, section 3.1). Pools that stride no more are removed; pools
    that never did keep their window.

    Args:
        node: An opened tree.
        limit: The largest total stride.
        stride: The stride of what comes in.
        dilation: The product of the strides already taken away.

    Returns:
        The tree, the stride behind it, and the dilation for what follows.
    """
    if isinstance(node, Primitive):
        factor = node.stride_factor
        keep = stride * factor <= limit
        node = node.dilate(dilation, keep_stride=keep)
        return (node, stride * factor, dilation) if keep else (node, stride, dilation * factor)
    assert not isinstance(node, Block), "expand the tree first"
    children: dict[str, Node] = {}
    ends = [(stride, dilation)]
    for name, child in node.children.items():
        start = ends[-1] if isinstance(node, Sequential) else ends[0]
        children[name], *end = hold_stride(child, limit, stride=start[0], dilation=start[1])
        ends.append((end[0], end[1]))
    if isinstance(node, Gate):
        return node.with_children(children), stride, dilation
    return node.with_children(children), *max(ends[-1], ends[min(1, len(ends) - 1)])


def count_residuals(node: Node) -> int:
    """How many residual blocks an opened tree has."""
    if isinstance(node, Block):
        return 0
    return isinstance(node, Residual) + sum(count_residuals(child) for child in node.children.values())


def drop_residuals(node: Node, probabilities: Iterator[float]) -> Node:
    """Give each residual block of an opened tree, in the order of execution, its probability to be left out.

    Stochastic depth (Huang et al. 2016, arXiv:1603.09382, section 3).

    Args:
        node: An opened tree.
        probabilities: One per residual block, taken as they come.
    """
    if isinstance(node, Block):
        return node
    if isinstance(node, Residual):
        node = replace(node, drop_probability=next(probabilities))
    return node.with_children({name: drop_residuals(child, probabilities) for name, child in node.children.items()})
