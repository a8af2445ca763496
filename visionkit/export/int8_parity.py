"""What an 8-bit file is worth beside its run and its float file, and whether it is kept."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table

from visionkit.export.parity import Parity
from visionkit.metric_names import metric_title
from visionkit.text import count_of

__all__ = ["FLOAT", "MAX_POINTS_LOST", "Int8Parity", "MeasuredFile", "choose", "int8_lines", "refusals"]

FLOAT = "float32"
"""The scheme of the file that is not quantised."""
MAX_POINTS_LOST = 1.0
"""Of the task's metric, in hundredths of its range from 0 to 1."""
_FEW_CALIBRATION_IMAGES, _FEW_VALIDATION_IMAGES = 8, 100


@dataclass(frozen=True)
class MeasuredFile:
    """A file beside the run it was made of.

    Attributes:
        scheme: ``float32``, or one of `visionkit.export.quantization.SCHEMES`.
        metric: The task's deciding metric on the validation split, 0 to 1.
        points_lost: By how many hundredths the metric is below the run's.
        milliseconds: The median time of one image in a batch of its own.
        num_bytes: Of the file.
    """

    scheme: str
    metric: float
    points_lost: float
    milliseconds: float
    num_bytes: int


@dataclass(frozen=True)
class Int8Parity:
    """What was measured.

    Attributes:
        float_parity: Of the float file that was quantised.
        metric: The name of the deciding metric.
        run_metric: Its value for the run itself.
        files: The float file and those that were quantised; empty if the float file differs from the run.
        chosen: The scheme that was kept, or that was the better one of those refused.
        layers: The number of layers of 8 bits.
        calibration_images: The training images that gave the ranges of feature maps.
        validation_images: Those on which the metric was measured.
        problems: Why the file is refused, in words.
    """

    float_parity: Parity
    metric: str
    run_metric: float
    files: tuple[MeasuredFile, ...]
    chosen: str | None
    layers: int
    calibration_images: int
    validation_images: int
    problems: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether the file may be used in the run's place."""
        return not self.problems

    @property
    def notes(self) -> list[str]:
        """What makes the figures less certain than they look, in words."""
        found = []
        if 0 < self.calibration_images < _FEW_CALIBRATION_IMAGES:
            found.append(f"calibrated on {count_of(self.calibration_images, 'training image')} alone; more are better")
        if 0 < self.validation_images < _FEW_VALIDATION_IMAGES:
            share = 100 / self.validation_images
            found.append(
                f"measured on {count_of(self.validation_images, 'validation image')} alone, of which each counts about "
                f"{share:.1f} points"
            )
        return found

    def document(self) -> dict[str, Any]:
        """As plain values."""
        plain = {"passed": self.passed, "int8": True, **asdict(self), "limits": {"max_points_lost": MAX_POINTS_LOST}}
        return plain | {"float_parity": self.float_parity.document(), "notes": self.notes}


def choose(quantized: Sequence[MeasuredFile], float_file: MeasuredFile) -> MeasuredFile:
    """The better one: not refused, then with fewer points lost (as they are printed; a gain is chance), then faster."""

    def order(file: MeasuredFile) -> tuple[bool, float, float]:
        return bool(refusals(file, float_file)), max(0.0, round(file.points_lost, 2)), file.milliseconds

    return min(quantized, key=order)


def refusals(file: MeasuredFile, float_file: MeasuredFile) -> list[str]:
    """Why a quantised file is of no use beside the float one, in words; empty if it is.

    Args:
        file: The quantised one.
        float_file: Of the same run.
    """
    found = []
    if math.isnan(file.points_lost):
        found.append("the metric is not a number on the validation split, so that nothing is known of its loss")
    elif file.points_lost > MAX_POINTS_LOST:
        found.append(f"it loses {file.points_lost:.2f} points of the metric, and may lose {MAX_POINTS_LOST:g}")
    if file.milliseconds >= float_file.milliseconds:
        found.append(
            f"it is no faster on this CPU: {file.milliseconds:.2f} ms for an image, the float file "
            f"{float_file.milliseconds:.2f} ms"
        )
    return found


def int8_lines(parity: Int8Parity) -> list[str | Table]:
    """What was measured, for a person: a table of the files, notes, and why they are refused."""
    lines: list[str | Table] = []
    if parity.files:
        images, trained = parity.float_parity.images, parity.calibration_images
        lines += [
            f"the float file is equal to the run's model on {count_of(images, 'image')} of the validation split; "
            f"{count_of(parity.layers, 'layer')} have 8 bits, calibrated on {count_of(trained, 'training image')}",
            _table(parity),
        ]
    return [*lines, *(f"note: {note}" for note in parity.notes), *(f"refused: {text}" for text in parity.problems)]


def _table(parity: Int8Parity) -> Table:
    """The files side by side; the one that was chosen is marked."""
    of_run = f"{metric_title(parity.metric)} of the run: {parity.run_metric:.4f}"
    table = Table(title=of_run, title_justify="left")
    table.add_column("file")
    for name in (metric_title(parity.metric), "points lost", "ms per image", "of float", "MB"):
        table.add_column(name, justify="right")
    for file in parity.files:
        mark = f" ({'kept' if parity.passed else 'the better one'})" if file.scheme == parity.chosen else ""
        table.add_row(
            file.scheme.replace("_", " ") + mark, f"{file.metric:.4f}", f"{file.points_lost:.2f}",
            f"{file.milliseconds:.2f}", f"{file.milliseconds / parity.files[0].milliseconds:.2f}",
            f"{file.num_bytes / 1e6:.2f}",
        )  # fmt: skip
    return table
