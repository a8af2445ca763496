"""Types of numbers within bounds."""

from typing import Annotated

from pydantic import Field

__all__ = ["BatchSize", "Fraction", "Momentum", "NonNegative", "PositiveFloat", "PositiveInt"]

PositiveFloat = Annotated[float, Field(gt=0, le=1_000_000, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Momentum = Annotated[float, Field(ge=0, lt=1)]
PositiveInt = Annotated[int, Field(gt=0, le=1_000_000)]
BatchSize = Annotated[int, Field(gt=0, le=2**20)]
