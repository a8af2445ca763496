"""Which tensors of a network hold what is no finite number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

__all__ = ["first_non_finite", "non_finite"]


def first_non_finite(state: Mapping[str, Tensor]) -> str | None:
    """The first name of `non_finite`; None if there is none."""
    return next(iter(non_finite(state)), None)


def non_finite(state: Mapping[str, Tensor]) -> list[str]:
    """The names of the floating-point tensors with a value that is infinite or no number, in their order."""
    tensors = {name: _local(value) for name, value in state.items() if value.is_floating_point() and value.numel()}
    if not tensors:
        return []
    finite = torch.stack([torch.isfinite(tensor).all() for tensor in tensors.values()]).tolist()
    return [name for name, is_finite in zip(tensors, finite, strict=True) if not is_finite]


def _local(value: Tensor) -> Tensor:
    part: Any = value
    return part.to_local() if hasattr(part, "to_local") else value
