"""What runs in one process share: divisions of data sets and their decoded images, which no run changes."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import fields
from typing import Any

from visionkit.data.cache import ImageCache
from visionkit.data.sources import Source, Splits

__all__ = ["SharedCache"]

_BESIDE_THE_IMAGES = frozenset({"augment", "num_workers", "cache_mb", "mean", "std"})


class SharedCache:
    """Keeps what was read last, never more bytes than the ``dataset.cache_mb`` of the run that asks.

    A division that does not depend on the run's seed (``Splits.saved`` is None) serves every seed; images that a
    division chose serve every run with the same division.

    Attributes:
        nbytes: What is held.
    """

    def __init__(self) -> None:
        self._held: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self.nbytes = 0

    def splits(self, source: Source, *, seed: int, saved: Mapping[str, Any] | None, strict: bool) -> Splits:
        """As `Source.splits`, read once.

        Raises:
            UserError: As `Source.splits`.
        """
        anyone = (_settings(source), strict)
        mine = (*anyone, seed, _digest(saved))
        for key in (anyone, mine):
            if key in self._held:
                known: Splits = self._take(key)
                return known
        splits = source.splits(seed=seed, saved=saved, strict=strict)
        size = sum(samples.nbytes for samples in splits.samples.values())
        self._keep(anyone if splits.saved is None else mine, splits, size, limit=_limit(source))
        return splits

    def decoded(
        self,
        source: Source,
        *,
        division: Mapping[str, Any] | None,
        split: str,
        prepared: bool,
        strict: bool,
        need: int,
        decode: Callable[[], ImageCache | None],
    ) -> ImageCache | None:
        """The decoded images of a split.

        Args:
            source: Whose images.
            division: ``Splits.saved``.
            split: Which.
            prepared: Whether the images are preprocessed.
            strict: Whether an unreadable image is an error.
            need: The most bytes that ``decode`` takes; older things make room for it beforehand.
            decode: Reads them; None where they do not fit.
        """
        key = (_settings(source), strict, _digest(division), split, prepared)
        if key in self._held:
            known: ImageCache = self._take(key)
            return known
        self._drop_until(_limit(source) - need)
        decoded = decode()
        if decoded is not None:
            self._keep(key, decoded, decoded.nbytes, limit=_limit(source))
        return decoded

    def _take(self, key: Hashable) -> Any:
        self._held.move_to_end(key)
        return self._held[key][0]

    def _keep(self, key: Hashable, value: Any, size: int, *, limit: int) -> None:
        self._drop_until(limit - size)
        if self.nbytes + size <= limit:
            self._held[key] = (value, size)
            self.nbytes += size

    def _drop_until(self, most: int) -> None:
        while self._held and self.nbytes > most:
            _, (_, size) = self._held.popitem(last=False)
            self.nbytes -= size


def _settings(source: Source) -> Hashable:
    """What determines the images of a source before they are changed at random and normalised."""
    values = [(field.name, getattr(source, field.name)) for field in fields(source)]
    return (type(source), repr([pair for pair in values if pair[0] not in _BESIDE_THE_IMAGES]))


def _limit(source: Source) -> int:
    return source.cache_mb * 2**20


def _digest(division: Mapping[str, Any] | None) -> str | None:
    if division is None:
        return None
    return hashlib.sha256(json.dumps(division, sort_keys=True).encode()).hexdigest()
