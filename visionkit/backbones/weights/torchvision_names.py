"""Our names of tensors to torchvision's, by the tables of `visionkit.backbones.weights.torchvision_tables`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from visionkit.backbones.files import list_backbones
from visionkit.backbones.read import read_backbone
from visionkit.backbones.spec import BackboneSpec
from visionkit.backbones.weights.torchvision_tables import FAMILIES
from visionkit.blocks import Block, Node
from visionkit.errors import UserError

__all__ = ["torchvision_names"]


def torchvision_names(names: Iterable[str], spec: BackboneSpec) -> dict[str, str]:
    """Our names to torchvision's.

    Args:
        names: Keys of a state dict; the backbone's begin with ``backbone.``, the head's with ``head.``.
        spec: The backbone they belong to.

    Raises:
        UserError: If the backbone has no counterpart in torchvision, or one of the names has none.
    """
    family = (spec.torchvision or {}).get("family", "")
    if family not in FAMILIES:
        raise UserError(
            f"backbone {spec.name} has no counterpart in torchvision: its file gives no known family under "
            f"torchvision: {{model: ..., family: ...}}. Known families: {', '.join(FAMILIES)}."
        )
    units = FAMILIES[family].units
    places = _places(_published(spec), units)
    renamed = {}
    for name in names:
        new = _rename(name, FAMILIES[family].table)
        layer = name.rpartition(".")[0]
        found = list(_units(layer.removeprefix("backbone."), units)) if layer.startswith("backbone.") else []
        if new is None or any(unit not in places for unit in found):
            raise UserError(f"backbone {spec.name}: torchvision's {family} has no counterpart of '{name}'.")
        for level, unit in enumerate(found, start=1):
            new = new.replace(f"#{level}", str(places[unit]))
        renamed[name] = new
    return renamed


def _rename(name: str, table: tuple[tuple[str, str], ...]) -> str | None:
    for pattern, replacement in table:
        new, count = re.subn(f"^{pattern}", replacement, name)
        if count:
            return new
    return None


def _published(spec: BackboneSpec) -> BackboneSpec:
    """The backbone as its own file has it: a pool that another stem leaves out still counts in torchvision's rows."""
    model = (spec.torchvision or {}).get("model", "")
    return read_backbone(model) if model in list_backbones() else spec


def _places(spec: BackboneSpec, units: tuple[str, ...]) -> dict[str, int]:
    """Each unit's place among its own kind within the unit around it."""
    places: dict[str, int] = {}
    counts: dict[str, int] = {}
    for stage, tree in spec.stages.items():
        for path in _leaves(tree, stage):
            around = ""
            for unit in _units(path, units):
                if unit not in places:
                    places[unit] = counts.get(around, 0)
                    counts[around] = places[unit] + 1
                around = unit
    return places


def _leaves(node: Node, path: str) -> Iterator[str]:
    if isinstance(node, Block):
        yield path
        return
    for name, child in node.children.items():
        yield from _leaves(child, f"{path}.{name}")


def _units(path: str, units: tuple[str, ...]) -> Iterator[str]:
    """The beginnings of a path that end with each unit."""
    end = 0
    for unit in units:
        match = re.compile(unit).match(path, end)
        if match is None:
            return
        end = match.end()
        yield path[:end]
