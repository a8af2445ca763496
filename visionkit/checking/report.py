"""What a check has found: a summary of the data set, and its faults."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from typing import Any

from visionkit.checking.suspects import Suspect
from visionkit.data.findings import Finding
from visionkit.errors import ExitCode
from visionkit.report.tables import Grid
from visionkit.text import count_of

__all__ = ["CheckReport", "by_severity"]

_SEVERITIES = ("error", "warning", "note")
_LISTED = 5
"""So many places are printed; the document has all that are known."""


_COLUMNS = {
    "images": "images", "height": "height", "width": "width", "objects": "objects", "objects_per_image": "per image",
    "side": "side",
}  # fmt: skip
_MAX_CLASSES = 40
_MAX_SUSPECTS = 1000


@dataclass(frozen=True)
class CheckReport:
    """What a check has found.

    Attributes:
        dataset: The name of the data set.
        root: Its folder, if it has one.
        keys: The names of its settings.
        summary: Numbers of the data set, plain values.
        findings: Errors first, then warnings and notes.
        notes: What the readers say beside them.
        written: What was written: a file to the number of its lines.
        pictures: The files that were drawn.
        suspects: The labels of train, the most doubtful first, of a check with ``labels=true``.
        is_deep: Whether pixels were looked at.
        seconds: That it took.
    """

    dataset: str
    root: str | None
    keys: Collection[str]
    summary: dict[str, Any]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()
    written: dict[str, int] = field(default_factory=dict)
    pictures: tuple[str, ...] = ()
    suspects: tuple[Suspect, ...] = ()
    is_deep: bool = False
    seconds: float = field(default=0.0, compare=False)

    @property
    def counts(self) -> dict[str, int]:
        """The number of findings of each severity."""
        found = Counter(finding.severity for finding in self.findings)
        return {severity: found[severity] for severity in _SEVERITIES}

    @property
    def has_errors(self) -> bool:
        """Whether a training on the data set would be stopped, or its number be false."""
        return self.counts["error"] > 0

    @property
    def exit_code(self) -> int:
        """2 with errors, else 0."""
        return ExitCode.USER_ERROR if self.has_errors else ExitCode.DONE

    def of(self, code: str) -> Finding | None:
        """The finding of a code, or None."""
        return next((finding for finding in self.findings if finding.code == code), None)

    def to_json(self) -> dict[str, Any]:
        """Everything as plain values."""
        return {
            "dataset": self.dataset, "root": self.root, "deep": self.is_deep, "summary": self.summary,
            "counts": self.counts, "notes": list(self.notes), "written": self.written, "pictures": list(self.pictures),
            "suspects": [asdict(suspect) for suspect in self.suspects[:_MAX_SUSPECTS]],
            "seconds": round(self.seconds, 3),
            "findings": [
                {
                    "code": finding.code, "severity": finding.severity, "count": finding.count, "text": finding.text,
                    "places": list(finding.places), "remedy": finding.remedy_for(self.keys),
                }
                for finding in self.findings
            ],
        }  # fmt: skip

    def grids(self) -> list[Grid]:
        """Images and objects of each split, and of each class."""
        splits: dict[str, dict[str, Any]] = self.summary["splits"]
        if not splits:
            return []
        shown = [key for key in _COLUMNS if any(key in numbers for numbers in splits.values())]
        rows = [[split, *(_cell(numbers.get(key)) for key in shown)] for split, numbers in splits.items()]
        where = self.dataset if self.root is None else f"{self.dataset}: {self.root}"
        files = self.summary["files"]
        title = f"{where}, {count_of(files, 'image file') if files else 'images in memory'}"
        grids = [Grid(title, ["split", *(_COLUMNS[key] for key in shown)], rows, [False] + [True] * len(shown))]
        counted = {split: numbers["per_class"] for split, numbers in splits.items() if "per_class" in numbers}
        if counted:
            names = self.summary["classes"]
            rows = [[name, *(f"{counts[i]:,}" for counts in counted.values())] for i, name in enumerate(names)]
            notes = (f"and {len(rows) - _MAX_CLASSES:,} classes more: format=json",) * (len(rows) > _MAX_CLASSES)
            right_aligned = [False] + [True] * len(counted)
            grids.append(Grid("", ["class", *counted], rows[:_MAX_CLASSES], right_aligned, notes=notes))
        return grids

    def lines(self) -> list[str]:
        """The findings for a person, with the first places and what to do."""
        lines = list[str]()
        for finding in self.findings:
            lines.append(f"{finding.severity:<8} {finding.code}: {finding.text}")
            lines += [f"             {place}" for place in finding.places[:_LISTED]]
            if finding.count > len(finding.places[:_LISTED]) > 0:
                lines.append(f"             and {finding.count - len(finding.places[:_LISTED]):,} more")
            lines.append(f"         {finding.remedy_for(self.keys)}")
        counts = ", ".join(count_of(count, severity) for severity, count in self.counts.items())
        looked = "all pixels" if self.is_deep else "headers alone; pixels too: deep=true"
        looked = looked if self.summary["files"] or not self.summary["splits"] else "annotations alone"
        for file, number in self.written.items():
            lines.append(f"Written: {file}, {count_of(number, 'image')} to leave out: dataset.exclude={file}")
        lines += [f"Drawn: {', '.join(self.pictures)}"] if self.pictures else []
        return [*lines, f"{counts} ({looked}, {self.seconds:.1f} s)"]


def _cell(value: Any) -> str:
    """A number, or the smallest, the median and the largest."""
    if value is None:
        return "-"
    if not isinstance(value, dict):
        return f"{value:,}"
    low, median, high = (f"{value[name]:,g}" for name in ("smallest", "median", "largest"))
    return low if low == high else f"{low} .. {median} .. {high}"


def by_severity(findings: Collection[Finding]) -> tuple[Finding, ...]:
    """Errors first, then warnings and notes, each as they were found."""
    return tuple(sorted(findings, key=lambda finding: _SEVERITIES.index(finding.severity)))
