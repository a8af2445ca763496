"""What the comparison of an exported file with its model has found."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["MIN_EQUAL_PIXELS", "MIN_IOU", "TOLERANCE", "Parity", "parity_lines"]

TOLERANCE = 1e-4
"""Of raw outputs, relative to the largest of an image; of scores and of a margin between classes, absolute."""
MIN_IOU = 0.999
MIN_EQUAL_PIXELS = 0.999
_SHOWN_PROBLEMS = 20


@dataclass
class Parity:
    """What was compared, and what differs.

    Attributes:
        images: The images of the run's data that were compared, each alone and in a batch of three.
        noise: The images of noise, of which raw outputs alone are compared.
        largest_difference: Of each raw output, relative to the largest value of its image.
        detections: The objects that both found.
        borderline: Labels and objects that differ where the model itself has no clear choice: its margin between two
            classes is below the tolerance, or an object comes and goes with the rounding of raw outputs.
        not_converged: The images whose suppression has not come to its end.
        sizes: Of a file that takes images of any size, other heights and widths at which it was compared.
        size_multiple: What heights and widths must be multiples of.
        problems: The differences, each in words; the first of them.
        num_problems: All of them.
    """

    images: int = 0
    noise: int = 0
    largest_difference: dict[str, float] = field(default_factory=dict)
    detections: int = 0
    borderline: int = 0
    not_converged: int = 0
    sizes: list[tuple[int, int]] = field(default_factory=list)
    size_multiple: int = 1
    problems: list[str] = field(default_factory=list)
    num_problems: int = 0

    @property
    def passed(self) -> bool:
        """Whether nothing differs, and something was compared."""
        return self.num_problems == 0 and self.images + self.noise > 0

    def add(self, problem: str) -> None:
        """Count a difference."""
        self.num_problems += 1
        if self.num_problems <= _SHOWN_PROBLEMS:
            self.problems.append(problem)

    def merge(self, other: Parity) -> None:
        """Add what a comparison at other sizes has found."""
        for name in ("detections", "borderline", "not_converged"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name, value in other.largest_difference.items():
            self.largest_difference[name] = max(value, self.largest_difference.get(name, 0.0))
        self.sizes, self.size_multiple = self.sizes + other.sizes, max(self.size_multiple, other.size_multiple)
        self.problems = (self.problems + other.problems)[:_SHOWN_PROBLEMS]
        self.num_problems += other.num_problems

    def document(self) -> dict[str, Any]:
        """As plain values."""
        limits = {"tolerance": TOLERANCE, "min_iou": MIN_IOU, "min_equal_pixels": MIN_EQUAL_PIXELS}
        return {"passed": self.passed, **asdict(self), "limits": limits}


def parity_lines(parity: Parity) -> list[str]:
    """What a comparison has found, in words."""
    lines = [
        f"{name:12} differs by at most {value:.2g} of its largest value"
        for name, value in parity.largest_difference.items()
    ]
    counts = [f"{parity.images} images of the validation split", f"{parity.noise} of noise, alone and by threes"]
    found = f"; both found {parity.detections:,} objects in all" if parity.detections else ""
    lines.append(f"compared on {' and '.join(counts)}{found}")
    if parity.sizes:
        sizes = ", ".join(f"{height}x{width}" for height, width in parity.sizes)
        multiple = f"; sides must be multiples of {parity.size_multiple}" if parity.size_multiple > 1 else ""
        lines.append(f"also at {sizes} pixels{multiple}")
    if parity.borderline:
        lines.append(f"{parity.borderline} differ where the model itself has no clear choice")
    if parity.not_converged:
        lines.append(f"{parity.not_converged} images had too many overlapping boxes for an exact suppression")
    return lines + [f"differs: {problem}" for problem in parity.problems]
