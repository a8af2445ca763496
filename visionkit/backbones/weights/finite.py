"""Which tensors of a network hold what is no finite number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

__all__ = ["first_non_finite", "non_finite", "non_finite_tensors"]


def first_non_finite(state: Mapping[str, Tensor], initial: Mapping[str, Tensor] | None = None) -> str | None:
    """The first name of `non_finite`; None if there is none."""
    return next(iter(non_finite(state, initial)), None)


def non_finite(state: Mapping[str, Tensor], initial: Mapping[str, Tensor] | None = None) -> list[str]:
    """The names of the floating-point tensors with a value that is infinite or no number, in their order.

    Args:
        state: Tensors by name.
        initial: Those of the network as it was built, or its `non_finite_tensors`: a value that it has itself, such as
            the infinity that a running minimum begins with, counts as finite.
    """
    tensors = {name: _local(value) for name, value in state.items() if value.is_floating_point() and value.numel()}
    if not tensors:
        return []
    finite = torch.stack([torch.isfinite(tensor).all() for tensor in tensors.values()]).tolist()
    names = [name for name, is_finite in zip(tensors, finite, strict=True) if not is_finite]
    return [name for name in names if not _is_initial(tensors[name], (initial or {}).get(name))]


def non_finite_tensors(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copies of the tensors of `non_finite` on the CPU."""
    return {name: _local(state[name]).detach().cpu().clone() for name in non_finite(state)}


def _is_initial(value: Tensor, initial: Tensor | None) -> bool:
    """Whether each value is finite, or what it was from the beginning."""
    if initial is None or initial.shape != value.shape:
        return False
    same = torch.isclose(value, _local(initial).to(value), rtol=0, atol=0, equal_nan=True)
    return bool((same | torch.isfinite(value)).all())


def _local(value: Tensor) -> Tensor:
    part: Any = value
    return part.to_local() if hasattr(part, "to_local") else value
