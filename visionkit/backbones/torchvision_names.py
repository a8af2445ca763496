"""Torchvision's names for the tensors of our networks: one ordered table of patterns per family.

A replacement may hold ``#1`` and ``#2``: torchvision numbers the layers of a family's ``features`` in
one row, whichever stage they belong to, and so do the family's ``units``. A unit is the part of a
path that its pattern matches; ``#1`` is the unit's place among all, ``#2`` that of the second
pattern's match, which follows the first, within its unit.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from visionkit.backbones.spec import BackboneSpec
from visionkit.blocks import Block, Node
from visionkit.errors import UserError

__all__ = ["FAMILIES", "Family", "torchvision_names"]


@dataclass(frozen=True)
class Family:
    """How our names become torchvision's.

    Attributes:
        table: Patterns of our names, from their beginning, and what replaces them; the first match counts.
        units: Patterns of what is counted, one behind the other, from a stage's name on.
    """

    table: tuple[tuple[str, str], ...]
    units: tuple[str, ...] = ()


FAMILIES = {
    "alexnet": Family(
        units=(r".+",),
        table=(
            (r"backbone\.c\d\.conv\.conv\.", r"features.#1."),
            (r"head\.layers\.hidden1\.", r"classifier.1."),
            (r"head\.layers\.hidden2\.", r"classifier.4."),
            (r"head\.layers\.output\.", r"classifier.6."),
        ),
    ),
    "densenet": Family(
        table=(
            (r"backbone\.stem\.conv\.(conv|norm)\.", r"features.\g<1>0."),
            (
                r"backbone\.dense(\d)\.block\.layer(\d+)\.new\.conv(\d)\.(conv|norm)\.",
                r"features.denseblock\1.denselayer\2.\4\3.",
            ),
            (r"backbone\.dense2\.transition\.conv\.", r"features.transition1."),
            (r"backbone\.dense3\.transition\.conv\.", r"features.transition2."),
            (r"backbone\.dense4\.transition\.conv\.", r"features.transition3."),
            (r"backbone\.dense4\.final\.norm\.", r"features.norm5."),
            (r"head\.layers\.output\.", r"classifier."),
        ),
    ),
    "resnet": Family(
        table=(
            (r"backbone\.stem\.conv\.conv\.", r"conv1."),
            (r"backbone\.stem\.conv\.norm\.", r"bn1."),
            (r"backbone\.(layer\d)\.blocks\.(\d+)\.residual\.body\.conv(\d)\.conv\.", r"\1.\2.conv\3."),
            (r"backbone\.(layer\d)\.blocks\.(\d+)\.residual\.body\.conv(\d)\.norm\.", r"\1.\2.bn\3."),
            (r"backbone\.(layer\d)\.blocks\.(\d+)\.residual\.shortcut\.conv\.", r"\1.\2.downsample.0."),
            (r"backbone\.(layer\d)\.blocks\.(\d+)\.residual\.shortcut\.norm\.", r"\1.\2.downsample.1."),
            (r"head\.layers\.output\.", r"fc."),
        ),
    ),
}


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
    places = _places(spec, units)
    renamed = {}
    for name in names:
        new = _rename(name, FAMILIES[family].table)
        if new is None:
            raise UserError(f"backbone {spec.name}: torchvision's {family} has no counterpart of '{name}'.")
        layer = name.removeprefix("backbone.").rpartition(".")[0]
        for level, unit in enumerate(_units(layer, units), start=1):
            new = new.replace(f"#{level}", str(places.get(unit, "?")))
        renamed[name] = new
    return renamed


def _rename(name: str, table: tuple[tuple[str, str], ...]) -> str | None:
    for pattern, replacement in table:
        new, count = re.subn(f"^{pattern}", replacement, name)
        if count:
            return new
    return None


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
