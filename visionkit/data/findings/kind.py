"""A kind of problem in a data set's files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["MEND", "FindingKind", "Severity"]

Severity = Literal["note", "warning", "error"]


@dataclass(frozen=True, kw_only=True)
class FindingKind:
    """A kind of problem.

    Attributes:
        severity: A ``note`` is said, a ``warning`` is said and is an error under ``strict=true``, an ``error`` stops a
            run before its first epoch.
        text: What was found and what was done about it, behind a count; what stands in braces is filled in.
        remedy: What the user can do, in a sentence.
        why: How data come to have it and what it would do to a result, for the documentation.
        otherwise: The remedy for data sets without a setting that ``remedy`` names; empty if it names none.
    """

    severity: Severity
    text: str
    remedy: str
    why: str
    otherwise: str = ""


MEND = "Mend or remove it."
