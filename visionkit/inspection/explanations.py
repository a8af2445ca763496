"""Each kind of layer in the words of a textbook, its formula filled in with the numbers of the first one met."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from visionkit.blocks import LayerRecord
from visionkit.inspection.network import Network
from visionkit.inspection.textbook import Lines, explanation_lines, layer_kind

__all__ = ["Explanation", "explain"]


@dataclass(frozen=True)
class Explanation:
    """A kind of layer by the example of one.

    Attributes:
        kind: Such as ``convolution``.
        name: The first layer of the kind.
        lines: What is explained, and the words and formula.
    """

    kind: str
    name: str
    lines: Lines

    @property
    def title(self) -> str:
        """Such as ``convolution, by the example of c1.conv``."""
        return f"{self.kind}, by the example of {self.name}"

    def to_json(self) -> dict[str, Any]:
        """The kind, the name, and what is said."""
        return {"kind": self.kind, "name": self.name, "lines": dict(self.lines)}


def explain(net: Network) -> list[Explanation]:
    """One explanation for each kind of layer and of joint, in the order in which they are met."""
    found: dict[str, Explanation] = {}
    for part in net.parts:
        for record in _walk(part):
            kind = layer_kind(record)
            if kind and kind not in found:
                found[kind] = Explanation(kind, ".".join(record.path), explanation_lines(record))
    return list(found.values())


def _walk(record: LayerRecord) -> Iterator[LayerRecord]:
    yield record
    for child in record.children:
        yield from _walk(child)
