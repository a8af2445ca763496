"""What is odd about a data set's files, and what is done about it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from visionkit.errors import UserError

__all__ = ["Finding", "raise_first"]


_NAMED = 10


@dataclass(frozen=True)
class Finding:
    """Something odd, of one kind, that the data set can be used without.

    Attributes:
        problem: What it is, as in "3 boxes of no width or height".
        remedy: What was done: ``dropped``, ``clipped``.
        count: How often.
        places: Where: file and entry of the first ones.
    """

    problem: str
    remedy: str
    count: int
    places: tuple[str, ...]

    @classmethod
    def of(cls, problem: str, places: Collection[str], *, remedy: str = "dropped") -> list[Finding]:
        """The finding at these places, or none."""
        return [cls(problem, remedy, len(places), tuple(places)[:_NAMED])] if places else []

    @property
    def note(self) -> str:
        """A sentence for the person who trains."""
        more = f" and {self.count - len(self.places)} more" if self.count > len(self.places) else ""
        return f"{self.count} {self.problem} {self.remedy}: {', '.join(self.places)}{more}"


def raise_first(findings: Iterable[Finding], *, dataset: str) -> None:
    """Make the first finding an error, as ``strict=true`` asks.

    Raises:
        UserError: If there is one.
    """
    for finding in findings:
        more = f" (and {finding.count - 1} more)" if finding.count > 1 else ""
        raise UserError(
            f"dataset '{dataset}': {finding.problem}: {finding.places[0]}{more}. Mend or remove it; with strict=false "
            f"it is {finding.remedy} and named."
        )
