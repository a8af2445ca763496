"""What predictions say beside their numbers: findings, counted over all images, in memory that does not grow."""

from __future__ import annotations

import threading
from collections.abc import Callable

from visionkit.data.findings import MAX_LISTED, Finding

__all__ = ["EXACT", "Notes"]

EXACT = "exact"
"""False in a prediction whose suppression was not: an exported file does so many rounds and no more."""


class Notes:
    """Counts what was found of the images, from any number of threads.

    Args:
        on_first: Called with the first finding of each kind.
    """

    def __init__(self, on_first: Callable[[Finding], None] | None = None) -> None:
        self._on_first = on_first
        self._lock = threading.Lock()
        self._found: dict[tuple[str, tuple[tuple[str, str], ...]], tuple[int, tuple[str, ...]]] = {}

    def add(self, code: str, place: str, **values: str) -> None:
        """Count an image.

        Args:
            code: A key of the catalogue of findings.
            place: The name of the image.
            values: What the text of the finding leaves open.
        """
        key = (code, tuple(values.items()))
        with self._lock:
            count, places = self._found.get(key, (0, ()))
            self._found[key] = (count + 1, (*places, place)[:MAX_LISTED])
        if not count and self._on_first is not None:
            self._on_first(Finding.counted(code, 1, (place,), **values))

    @property
    def findings(self) -> list[Finding]:
        """What was found so far."""
        with self._lock:
            found = list(self._found.items())
        return [Finding.counted(code, count, places, **dict(values)) for (code, values), (count, places) in found]
