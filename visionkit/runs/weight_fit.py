"""Whether the weights of a file are those of a model."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from visionkit.backbones.weights.finite import first_non_finite
from visionkit.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["advice", "check_fit", "load_strictly", "naming_layers", "weight_differences"]

_MAX_NAMED = 4


def check_fit(
    weights: Mapping[str, Tensor], model_state: Mapping[str, Tensor], *, file: Path, where: str = "run"
) -> None:
    """Check that weights are those of a model: the same names, shapes and types of numbers.

    Args:
        weights: The tensors of a file.
        model_state: The state of the model that they are for.
        file: The file, for the message.
        where: What the message starts with.

    Raises:
        UserError: If any differs; the message names the first ones.
    """
    problems = weight_differences(weights, model_state)
    if problems:
        raise UserError(
            f"{where}: the weights in '{file}' do not fit its config.yaml: {_first(problems)}. "
            f"Expected the file that this run wrote. {advice(file)}"
        )


def load_strictly(
    model: nn.Module, weights: Mapping[str, Tensor], *, file: Path, initial: Mapping[str, Tensor] | None = None
) -> None:
    """Load weights into a model.

    Args:
        model: The model.
        weights: The tensors of a file.
        file: The file, for messages.
        initial: What is not finite in the model that was trained, and may stay so.

    Raises:
        UserError: If names, shapes or types differ, or a value is not finite that the model did not begin with.
    """
    state = model.state_dict()
    check_fit(weights, state, file=file)
    name = first_non_finite(weights, state if initial is None else initial)
    if name is not None:
        raise UserError(
            f"run: the weights in '{file}' are not finite, such as '{name}': what the model says would mean nothing. "
            "Expected numbers. Try another run, or train again with a smaller recipe.lr"
        )
    model.load_state_dict(weights, strict=True)


def weight_differences(weights: Mapping[str, Tensor], model_state: Mapping[str, Tensor]) -> list[str]:
    """What differs between weights and the state of a model, each in some words: names, shapes and types of numbers."""
    problems = [f"'{name}' is missing" for name in model_state if name not in weights]
    problems += [f"'{name}' is left over" for name in weights if name not in model_state]
    for name, expected in model_state.items():
        found = weights.get(name, expected)
        if found.shape != expected.shape:
            problems.append(f"'{name}' has shape {tuple(found.shape)}, and {tuple(expected.shape)} in the model")
        elif found.dtype != expected.dtype:
            problems.append(f"'{name}' is {found.dtype}, and {expected.dtype} in the model".replace("torch.", ""))
    return problems


@contextlib.contextmanager
def naming_layers(weights: Mapping[str, Tensor], model_state: Mapping[str, Tensor]) -> Iterator[None]:
    """A context in which an error of a configuration says as well which layers of the network differ by it."""
    try:
        yield
    except UserError as error:
        problems = weight_differences(weights, model_state)
        if not problems:
            raise
        raise UserError(f"{error} (layers that differ: {_first(problems)})") from None


def _first(problems: list[str]) -> str:
    more = len(problems) - _MAX_NAMED
    return ", ".join(problems[:_MAX_NAMED]) + (f" and {more} more" if more > 0 else "")


def advice(file: Path) -> str:
    """What to do about a checkpoint that is not what its run wrote."""
    run = file.parent.parent if file.suffix == ".ckpt" else file.parent
    return f"Try another run, or train again: python -m visionkit train run={run}"
