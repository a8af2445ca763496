"""Activation functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import PlainValidator

from visionkit.blocks.registry import block
from visionkit.blocks.shapes import FeatureShape
from visionkit.blocks.tree import Memory, Primitive
from visionkit.errors import did_you_mean
from visionkit.schema import nested_errors, parse

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Activation", "ActivationField"]


_NAMES = ("relu", "relu6", "tanh", "sigmoid", "gelu", "silu", "hardswish", "hardsigmoid", "leaky_relu")


@block("activation")
@dataclass(frozen=True)
class Activation(Primitive):
    """A function applied to each number on its own; it has no weights."""

    name: Literal["relu", "relu6", "tanh", "sigmoid", "gelu", "silu", "hardswish", "hardsigmoid", "leaky_relu"]
    negative_slope: float = 0.01

    def memory(self, shape: FeatureShape) -> Memory:
        # leaky_relu saves its output when it runs in place; relu6 saves its input even then
        saves_output = self.name in ("relu", "tanh", "sigmoid", "leaky_relu")
        runs_inplace = self.name not in ("tanh", "sigmoid", "gelu")
        return Memory(saved="output" if saves_output else "input", runs_inplace=runs_inplace)

    def build(self, shape: FeatureShape) -> nn.Module:
        from torch import nn

        if self.name == "leaky_relu":
            return nn.LeakyReLU(self.negative_slope)
        classes: dict[str, type[nn.Module]] = {
            "relu": nn.ReLU,
            "relu6": nn.ReLU6,
            "tanh": nn.Tanh,
            "sigmoid": nn.Sigmoid,
            "gelu": nn.GELU,
            "silu": nn.SiLU,
            "hardswish": nn.Hardswish,
            "hardsigmoid": nn.Hardsigmoid,
        }
        return classes[self.name]()


def _parse_activation(value: Any) -> Activation | None:
    if value is None or value == "none":
        return None
    if isinstance(value, Activation):
        return value
    name = value.get("type", value.get("name")) if isinstance(value, dict) else value
    if name not in _NAMES:
        hint = did_you_mean(str(name), _NAMES)
        raise ValueError(f"no activation is called {name!r}.{hint} Known: none, {', '.join(_NAMES)}.")
    if isinstance(value, dict) and "type" in value:
        value = {"name": value["type"], **{k: v for k, v in value.items() if k != "type"}}
    with nested_errors():
        return parse(Activation, {"name": value} if isinstance(value, str) else value, where="")


ActivationField = Annotated[Activation | None, PlainValidator(_parse_activation)]
"""A name such as ``relu``, ``none``, or ``{type: leaky_relu, negative_slope: 0.1}``."""
