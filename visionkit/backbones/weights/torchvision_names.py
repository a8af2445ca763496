"""Visionkit's tensor names to torchvision's, by the tables of `visionkit.backbones.weights.torchvision_tables`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from visionkit.backbones.files import list_backbones
from visionkit.backbones.read import read_backbone
from visionkit.backbones.spec import BackboneSpec
from visionkit.backbones.weights.torchvision_tables import FAMILIES
from visionkit.blocks import Block, Node
from visionkit.errors import UserError

__all__ = ["Row", "conv_and_norm", "rename", "torchvision_names"]

Row = tuple[str, str | Callable[[re.Match[str]], str]]
"""A pattern of the beginning of a name, and its replacement."""


def torchvision_names(names: Iterable[str], spec: BackboneSpec) -> dict[str, str]:
    """Visionkit's names to torchvision's names.

    Args:
        names: Keys of a state dict; the backbone's begin with ``backbone.``, the head's with ``head.``.
        spec: The backbone they belong to.

    Raises:
        UserError: If the backbone has no counterpart in torchvision, or one of the names.
    """
    family = (spec.torchvision or {}).get("family", "")
    if family not in FAMILIES:
        raise UserError(
            f"backbone {spec.name} has no counterpart in torchvision: its file gives no known family under "
            f"torchvision: {{model: ..., family: ...}}. Known families: {', '.join(FAMILIES)}."
        )
    units = FAMILIES[family].units
    unit_indices = _unit_indices(_published_spec(spec), units)
    renamed = {}
    for name in names:
        torchvision_name = rename(name, FAMILIES[family].table)
        layer = name.rpartition(".")[0]
        matched = list(_units(layer.removeprefix("backbone."), units)) if layer.startswith("backbone.") else []
        if torchvision_name is None or any(unit not in unit_indices for unit in matched):
            raise UserError(f"backbone {spec.name}: torchvision's {family} has no counterpart of '{name}'.")
        for level, unit in enumerate(matched, start=1):
            torchvision_name = torchvision_name.replace(f"#{level}", str(unit_indices[unit]))
        renamed[name] = torchvision_name
    return renamed


def rename(name: str, table: Iterable[Row]) -> str | None:
    """The name that the first matching row of a table makes, or None if none matches."""
    for pattern, replacement in table:
        renamed, count = re.subn(f"^{pattern}", replacement, name)
        if count:
            return renamed
    return None


def conv_and_norm(layer: str, replacement: str, *, first: int = 0) -> Row:
    """The row of a convolution and the norm after it, which torchvision numbers from ``first``."""
    return rf"{layer}\.(conv|norm)\.", lambda m: f"{m.expand(replacement)}{first + (m[m.re.groups] == 'norm')}."


def _published_spec(spec: BackboneSpec) -> BackboneSpec:
    """The backbone as its file has it: layers that another stem removes still count in torchvision's numbering."""
    model = (spec.torchvision or {}).get("model", "")
    return read_backbone(model) if model in list_backbones() else spec


def _unit_indices(spec: BackboneSpec, units: tuple[str, ...]) -> dict[str, int]:
    """Paths of all units to their indices within the enclosing unit."""
    unit_indices: dict[str, int] = {}
    counts: dict[str, int] = {}
    for stage, tree in spec.stages.items():
        for path in _leaves(tree, stage):
            parent = ""
            for unit in _units(path, units):
                if unit not in unit_indices:
                    unit_indices[unit] = counts.get(parent, 0)
                    counts[parent] = unit_indices[unit] + 1
                parent = unit
    return unit_indices


def _leaves(node: Node, path: str) -> Iterator[str]:
    if isinstance(node, Block):
        yield path
        return
    for name, child in node.children.items():
        yield from _leaves(child, f"{path}.{name}")


def _units(path: str, units: tuple[str, ...]) -> Iterator[str]:
    """The prefixes of a path that end with each unit, outermost first."""
    end = 0
    for unit in units:
        match = re.compile(unit).match(path, end)
        if match is None:
            return
        end = match.end()
        yield path[:end]
