"""All occurrences of one kind of problem in a data set."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from visionkit.data.findings.catalogue import CATALOGUE
from visionkit.data.findings.kind import FindingKind
from visionkit.errors import UserError

__all__ = ["MAX_LISTED", "Finding", "check_findings", "lenient_findings"]

MAX_LISTED = 10
_MAX_NAMED = 3
"""So many places stand in a note; those beyond, up to `MAX_LISTED`, in the log of a run."""

_is_lenient: ContextVar[bool] = ContextVar("is_lenient", default=False)

_KEY = re.compile(r"dataset\.([a-z_]+)")


@dataclass(frozen=True)
class Finding:
    """All problems of one kind in a data set.

    Attributes:
        code: A key of `CATALOGUE`.
        count: The number of occurrences.
        places: File and entry of the first `MAX_LISTED` occurrences; may be empty.
        values: What the kind's text leaves open, such as the split.
    """

    code: str
    count: int
    places: tuple[str, ...] = ()
    values: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, code: str, places: Collection[str], **values: str) -> list[Finding]:
        """A list of one finding at these places; empty if there are none."""
        return [cls(code, len(places), tuple(places)[:MAX_LISTED], values)] if places else []

    @classmethod
    def counted(cls, code: str, count: int, places: Sequence[str] = (), **values: str) -> Finding:
        """A finding of so many occurrences, of which some places are known."""
        return cls(code, count, tuple(places)[:MAX_LISTED], values)

    @property
    def kind(self) -> FindingKind:
        """The kind of the problem."""
        return CATALOGUE[self.code]

    @property
    def severity(self) -> str:
        """``note``, ``warning`` or ``error``."""
        return self.kind.severity

    @property
    def remedy(self) -> str:
        """What the user can do about it."""
        return self.kind.remedy.format(**self.values)

    def remedy_for(self, keys: Collection[str]) -> str:
        """What the user of a data set can do about it.

        Args:
            keys: The names of the settings of the data set.
        """
        named = _KEY.findall(self.kind.remedy)
        return self.remedy if set(named) <= set(keys) else self.kind.otherwise.format(**self.values)

    @property
    def text(self) -> str:
        """What was found, counted, and what was done about it."""
        return f"{self.count:,} {self.kind.text.format(**self.values)}"

    @property
    def note(self) -> str:
        """The finding as a sentence for the user, with the first places."""
        return self._listed(_MAX_NAMED)

    @property
    def details(self) -> str:
        """The same with all known places; empty if `note` names them."""
        return self._listed(MAX_LISTED) if len(self.places) > _MAX_NAMED else ""

    def _listed(self, limit: int) -> str:
        places = self.places[:limit]
        more = f" and {self.count - len(places):,} more" if self.count > len(places) else ""
        return f"{self.text}: {', '.join(places)}{more}" if places else self.text


@contextmanager
def lenient_findings() -> Iterator[None]:
    """A context in which `check_findings` raises nothing: who reads a data set to judge it wants all of them."""
    token = _is_lenient.set(True)
    try:
        yield
    finally:
        _is_lenient.reset(token)


def check_findings(
    findings: Iterable[Finding],
    *,
    strict: bool,
    dataset: str | None = None,
    keys: Collection[str] | None = None,
    place: str | None = None,
) -> None:
    """Raise the first error among findings, or the first warning if ``strict`` is set.

    Args:
        findings: All of them.
        strict: Whether a warning is an error.
        dataset: The name of the data set.
        keys: The names of its settings, if only these can be typed.
        place: Where they were found, if not in a data set.

    Raises:
        UserError: If there is one.
    """
    if _is_lenient.get():
        return
    where = place if dataset is None else f"dataset '{dataset}'"
    raised = [
        finding for finding in findings if finding.severity == "error" or (strict and finding.severity == "warning")
    ]
    raised.sort(key=lambda finding: finding.severity != "error")
    for finding in raised:
        place = f": {finding.places[0]}" if finding.places else ""
        more = f" (and {finding.count - 1:,} more)" if finding.places and finding.count > 1 else ""
        remedy = finding.remedy if keys is None else finding.remedy_for(keys)
        lenient = " With strict=false it is only said." if finding.severity == "warning" else ""
        raise UserError(f"{where}: {finding.text}{place}{more}. {remedy}{lenient}")
