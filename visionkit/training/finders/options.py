"""The options of the verb ``find``, read without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Annotated, Any

from pydantic import Field

from visionkit.errors import UserError
from visionkit.schema import parse

__all__ = ["SUBJECTS", "BatchOptions", "RateOptions", "read_options"]

Rate = Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]


@dataclass(frozen=True, kw_only=True)
class RateOptions:
    """The options of ``find lr``.

    Attributes:
        low: The first learning rate.
        high: The last one, unless the loss diverges before.
        steps: Of the optimizer, from the first rate to the last.
        out: A PNG file for the curve; None for none.
    """

    low: Rate = 1e-6
    high: Rate = 10.0
    steps: Annotated[int, Field(ge=20, le=100_000)] = 140
    out: str | None = None


@dataclass(frozen=True, kw_only=True)
class BatchOptions:
    """The options of ``find batch``.

    Attributes:
        largest: No larger batch is tried; None for a tenth of the training images, so that an epoch keeps ten steps.
        seconds: For which each size is timed.
    """

    largest: Annotated[int, Field(gt=0, le=2**20)] | None = None
    seconds: Annotated[float, Field(gt=0, le=3600)] = 1.0


SUBJECTS: Mapping[str, type[RateOptions] | type[BatchOptions]] = {"lr": RateOptions, "batch": BatchOptions}
"""What can be found, and the options of each."""


def read_options(subject: str, values: Mapping[str, Any]) -> Any:
    """Check the options of a finder.

    Args:
        subject: Of `SUBJECTS`.
        values: As typed, as plain values.

    Raises:
        UserError: If one is wrong, or belongs to the other finder.
    """
    cls = SUBJECTS[subject]
    known = [field.name for field in fields(cls)]
    for key in values:
        owner = next((name for name, other in SUBJECTS.items() if key in other.__dataclass_fields__), None)
        if key not in known and owner is not None:
            raise UserError(
                f"{key}: find {subject} has no such option, it is one of find {owner}. Expected one of: "
                f"{', '.join(known)}. Leave it out, or type: find {owner}"
            )
    options = parse(cls, values, where="")
    if isinstance(options, RateOptions) and options.high < 10 * options.low:
        raise UserError(
            f"low, high: found {options.low:g} and {options.high:g}. Expected a range of a factor of 10 at least. Try: "
            f"high={1000 * options.low:g}, or leave both out"
        )
    return options
