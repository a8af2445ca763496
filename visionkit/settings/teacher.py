"""The model that a training learns from: ``recipe.teacher``."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from visionkit.schema import STRICT, describe
from visionkit.settings.numbers import PositiveFloat

__all__ = ["Teacher", "check_teacher"]

_EXAMPLE = "'recipe.teacher={run: FOLDER, temperature: 4.0, weight: 0.5}'"
_SOURCES = ("run", "weights", "backbone")


@dataclass(frozen=True, kw_only=True)
class Teacher:
    """A trained model, and how much of it is learnt.

    Attributes:
        run: The folder of its run; None where ``weights`` are given.
        weights: The weights of ``backbone``, such as ``imagenet``.
        backbone: The name of a backbone.
        temperature: That of the softmax of both models; classification alone has one (Hinton et al. 2015).
        weight: For classification the share of the teacher in the loss, the targets having the rest; for other tasks
            the factor of its term, which is added.
    """

    __pydantic_config__ = STRICT

    run: str | None
    weights: str | None
    backbone: str | None
    temperature: PositiveFloat
    weight: Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]


def check_teacher(value: Any) -> Any:
    """A value with all keys: those of the sources that are not given are None.

    Raises:
        ValueError: If it is no mapping, or names no source or two.
    """
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise ValueError(f"expected null or a mapping, found {describe(value)}. Try: {_EXAMPLE}")
    given = [key for key in _SOURCES if value.get(key) is not None]
    if given not in (["run"], ["weights", "backbone"]):
        found = " and ".join(given) or "neither run nor weights"
        raise ValueError(
            f"found {found}. Expected run alone, or weights and backbone together. Try: {_EXAMPLE}, or "
            "{weights: imagenet, backbone: resnet50, temperature: 4.0, weight: 0.5}"
        )
    missing = [key for key in ("temperature", "weight") if key not in value]
    if missing:
        raise ValueError(f"found no {' and no '.join(missing)}. Expected both. Try: {_EXAMPLE}")
    return {**dict.fromkeys(_SOURCES), **value}
