"""Problems of a data set's files that it can be used without, and what was done about them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from visionkit.errors import UserError

__all__ = ["MAX_LISTED", "Finding", "raise_first"]


MAX_LISTED = 10


@dataclass(frozen=True)
class Finding:
    """All problems of one kind in a data set.

    Attributes:
        problem: The kind, such as "box(es) of no width or height".
        remedy: What was done: ``dropped``, ``clipped``.
        count: The number of occurrences.
        locations: File and entry of the first `MAX_LISTED` occurrences.
    """

    problem: str
    remedy: str
    count: int
    locations: tuple[str, ...]

    @classmethod
    def of(cls, problem: str, locations: Collection[str], *, remedy: str = "dropped") -> list[Finding]:
        """A list of one finding at these locations; empty if there are none."""
        return [cls(problem, remedy, len(locations), tuple(locations)[:MAX_LISTED])] if locations else []

    @property
    def note(self) -> str:
        """The finding as a sentence for the user."""
        more = f" and {self.count - len(self.locations)} more" if self.count > len(self.locations) else ""
        return f"{self.count} {self.problem} {self.remedy}: {', '.join(self.locations)}{more}"


def raise_first(findings: Iterable[Finding], *, dataset: str) -> None:
    """Raise the first finding as an error, for ``strict=true``.

    Raises:
        UserError: If there is a finding.
    """
    for finding in findings:
        more = f" (and {finding.count - 1} more)" if finding.count > 1 else ""
        raise UserError(
            f"dataset '{dataset}': {finding.problem}: {finding.locations[0]}{more}. Mend or remove it; with "
            f"strict=false it is {finding.remedy} and named."
        )
