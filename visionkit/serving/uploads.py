"""Images that strangers send: within limits, one at a time, with answers that say nothing of this machine's files."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from visionkit.errors import UserError
from visionkit.schema import describe

if TYPE_CHECKING:
    from visionkit.data.findings import Finding
    from visionkit.inference.predictions import Prediction
    from visionkit.inference.predictor import Predictor

__all__ = ["UploadError", "UploadLimits", "UploadPredictor", "UploadResult"]

_MAX_BYTES = 32 * 2**20
_MAX_PIXELS = 50_000_000  # of telephones; segmenting one takes some 2 GB, and one at a time is predicted


class UploadError(UserError):
    """An image that is refused.

    Args:
        message: For the person who sent it.
        status: Of HTTP.
    """

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class UploadLimits:
    """What an image that is sent may have.

    Attributes:
        max_bytes: The size of the file.
        max_pixels: Height times width, as its header says.
    """

    max_bytes: int
    max_pixels: int

    @classmethod
    def read(cls, options: Mapping[str, Any]) -> UploadLimits:
        """Parse ``max_bytes`` and ``max_pixels``; other keys are ignored.

        Raises:
            UserError: If one is no whole number above 0.
        """
        defaults = {"max_bytes": _MAX_BYTES, "max_pixels": _MAX_PIXELS}
        values = {key: options.get(key, default) for key, default in defaults.items()}
        for key, value in values.items():
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise UserError(
                    f"{key}: expected a whole number of {key.removeprefix('max_')} above 0, found {describe(value)}. "
                    f"Try: {key}={defaults[key]}"
                )
        return cls(**values)

    def too_many_bytes(self) -> UploadError:
        """The error of a file that is too large."""
        return UploadError(
            f"the image has more bytes than the limit of {_size(self.max_bytes)}. Send a smaller one.", status=413
        )


class UploadResult(NamedTuple):
    """A prediction on an image that was sent.

    Attributes:
        prediction: What `Predictor.predict` gives, without a path.
        notes: What is to be said of the image: how it was converted, what of it was left out.
    """

    prediction: Prediction
    notes: tuple[str, ...] = ()


class UploadPredictor:
    """A `Predictor` for files that strangers send; any number of threads may use it, and one at a time predicts.

    Args:
        predictor: What predicts.
        limits: What an image may have.
        run: What the run is called.
    """

    def __init__(self, predictor: Predictor, limits: UploadLimits, *, run: str) -> None:
        self.predictor, self.limits, self.run = predictor, limits, run
        self._lock = threading.Lock()

    @property
    def task(self) -> str:
        """The task of the run."""
        return self.predictor.task

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes, in the order of their ids."""
        return self.predictor.class_names

    @property
    def prediction_class(self) -> type[Prediction]:
        """What an image gets."""
        return self.predictor.inference.prediction_class

    def predict(self, path: Path) -> UploadResult:
        """Predict on a file exactly as `Predictor.predict` does.

        Args:
            path: The file, of any name.

        Raises:
            UploadError: If it is too large, which its header tells, or no image; no path of this machine is in the
                message.
        """
        from visionkit.data.image_header import read_size

        try:
            if path.stat().st_size > self.limits.max_bytes:
                raise self.limits.too_many_bytes()
            height, width = read_size(path)
            if height * width > self.limits.max_pixels:
                raise UploadError(
                    f"the image has {width:,} x {height:,} pixels, more than the limit of {self.limits.max_pixels:,}. "
                    "Send a smaller one.",
                    status=413,
                )
            with self._lock:
                before = self.predictor.findings
                prediction: Prediction = self.predictor.predict(path)
                notes = _new_notes(before, self.predictor.findings)
        except UploadError:
            raise
        except UserError as error:
            raise UploadError(_without_path(str(error), path), status=422) from None
        return UploadResult(replace(prediction, path=None), notes)


def _new_notes(before: Sequence[Finding], after: Sequence[Finding]) -> tuple[str, ...]:
    """What was found between two looks at counted findings, in the words of one image."""
    counts = {(one.code, *one.values.items()): one.count for one in before}
    new = [one for one in after if one.count > counts.get((one.code, *one.values.items()), 0)]
    return tuple(one.kind.text.format(**one.values).replace("image(s)", "image") for one in new)


def _without_path(message: str, path: Path) -> str:
    """A message about a file in the words of a person who has another name for it, and no access to it here."""
    for words in (f"image '{path}'", f"'{path}'", str(path)):
        message = message.replace(words, "the image")
    return message.replace(" Replace or remove it.", " Send another one.")


def _size(count: int) -> str:
    """A number of bytes for a person."""
    return f"{count / 2**20:,.3g} MiB" if count >= 2**20 else f"{count:,} bytes"
