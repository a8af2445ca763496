"""The options of the verb ``check``, read without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from visionkit.schema import parse

__all__ = ["CheckOptions", "read_options"]


@dataclass(frozen=True, kw_only=True)
class CheckOptions:
    """How thoroughly a data set is looked at.

    Attributes:
        deep: Whether all pixels are decoded; else headers alone.
        labels: Whether the labels of train are judged by networks that have not seen them.
        fix: ``list`` writes the images that should be left out.
        plot: Whether pictures are drawn.
        out: The folder for what is written.
        cache: A folder that keeps what was seen of each file, for the next check; None keeps nothing.
    """

    deep: bool = False
    labels: bool = False
    fix: Literal["list"] | None = None
    plot: bool = False
    out: str = "check"
    cache: str | None = None


def read_options(values: Mapping[str, Any]) -> CheckOptions:
    """Check options, plain values.

    Raises:
        UserError: If one is wrong.
    """
    return parse(CheckOptions, values, where="")
