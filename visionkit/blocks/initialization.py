"""Weight initialisation: the initialisers of `torch.nn.init`, by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import PlainValidator

from visionkit.errors import UserError
from visionkit.schema import nested_errors, parse

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Init", "InitField"]

_ARGUMENTS: dict[str, tuple[str, ...]] = {
    "default": (),
    "xavier_uniform": ("gain",),
    "xavier_normal": ("gain",),
    "kaiming_uniform": ("a", "mode", "nonlinearity"),
    "kaiming_normal": ("a", "mode", "nonlinearity"),
    "orthogonal": ("gain",),
    "normal": ("mean", "std"),
    "trunc_normal": ("mean", "std"),
    "uniform": ("a", "b"),
    "constant": ("val",),
    "zeros": (),
    "ones": (),
}


@dataclass(frozen=True)
class Init:
    """An initialiser of `torch.nn.init` for weights; biases are set to ``bias``.

    Xavier: Glorot & Bengio 2010. Kaiming: He et al. 2015 (arXiv:1502.01852). ``default``
    keeps the initialisation of torch's own layers.
    """

    type: Literal[
        "default", "xavier_uniform", "xavier_normal", "kaiming_uniform", "kaiming_normal", "orthogonal",
        "normal", "trunc_normal", "uniform", "constant", "zeros", "ones",
    ] = "default"  # fmt: skip
    gain: float | None = None
    a: float | None = None
    b: float | None = None
    mode: Literal["fan_in", "fan_out"] | None = None
    nonlinearity: Literal["linear", "relu", "leaky_relu", "tanh", "sigmoid", "selu"] | None = None
    mean: float | None = None
    std: float | None = None
    val: float | None = None
    bias: float = 0.0

    @property
    def arguments(self) -> dict[str, Any]:
        """The initialiser's keyword arguments that are set.

        Raises:
            UserError: If the initialiser does not take one of them, or ``constant`` has no value.
        """
        arguments = {
            name: value for name, value in vars(self).items() if name not in ("type", "bias") and value is not None
        }
        unsupported = [name for name in arguments if name not in _ARGUMENTS[self.type]]
        if unsupported:
            supported = ", ".join(_ARGUMENTS[self.type]) or "none"
            raise UserError(f"init '{self.type}' takes no '{unsupported[0]}'. Its arguments: {supported}.")
        if self.type == "constant" and self.val is None:
            raise UserError("init 'constant' needs a value, such as {type: constant, val: 0.01}.")
        return arguments

    def apply(self, layer: nn.Conv2d | nn.ConvTranspose2d | nn.Linear) -> None:
        """Initialise a layer's weight, drawing from torch's global generator, and set its bias to ``bias``."""
        if self.type == "default" or layer.weight.is_meta:
            return
        from torch import nn

        getattr(nn.init, f"{self.type}_")(layer.weight, **self.arguments)
        if layer.bias is not None:
            nn.init.constant_(layer.bias, self.bias)


def _parse_init(value: Any) -> Init:
    if isinstance(value, Init):
        return value
    with nested_errors():
        init = parse(Init, {"type": value} if isinstance(value, str) else value, where="")
        init.arguments  # noqa: B018  (for its check)
    return init


InitField = Annotated[Init, PlainValidator(_parse_init)]
"""A name of `torch.nn.init`, or a mapping such as ``{type: normal, std: 0.01}``."""
