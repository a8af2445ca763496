"""Splits and decoded images shared by the runs of one process, such as those of a sweep."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import fields
from typing import Any

from visionkit.data.cache import ImageCache
from visionkit.data.image_survey import survey_images
from visionkit.data.sources import Source, Splits

__all__ = ["SharedCache"]

_NON_PIXEL_SETTINGS = frozenset({"augment", "num_workers", "cache_mb", "mean", "std", "balance"})


class SharedCache:
    """A least recently used cache of at most ``dataset.cache_mb`` of the current run.

    Splits that do not depend on the run's seed (``Splits.saved`` is None) are shared by all seeds; decoded images are
    shared by all runs with the same splits.

    Attributes:
        nbytes: The memory of all entries, in bytes.
    """

    def __init__(self) -> None:
        self._entries: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self.nbytes = 0

    def splits(self, source: Source, *, seed: int, saved: Mapping[str, Any] | None, strict: bool) -> Splits:
        """`Source.splits`, cached.

        Raises:
            UserError: As `Source.splits`.
        """
        seedless_key = (_source_key(source), strict)
        seeded_key = (*seedless_key, seed, _digest(saved))
        for key in (seedless_key, seeded_key):
            if key in self._entries:
                cached: Splits = self._get(key)
                return cached
        splits = survey_images(source, source.splits(seed=seed, saved=saved, strict=strict), strict=strict)
        size = sum(samples.nbytes for samples in splits.samples.values())
        self._put(seedless_key if splits.saved is None else seeded_key, splits, size, limit=_cache_bytes(source))
        return splits

    def image_cache(
        self,
        source: Source,
        *,
        saved: Mapping[str, Any] | None,
        split: str,
        prepared: bool,
        strict: bool,
        max_bytes: int,
        decode: Callable[[], ImageCache | None],
    ) -> ImageCache | None:
        """The decoded images of a split, cached.

        Args:
            source: The source of the images.
            saved: The ``Splits.saved`` of the source.
            split: The name of the split.
            prepared: Whether the images are preprocessed; else they have their original sizes.
            strict: Whether an unreadable image is an error.
            max_bytes: The most memory that ``decode`` takes; the least recently used entries are evicted for it first.
            decode: Decodes the images; returns None if they do not fit into memory.
        """
        key = (_source_key(source), strict, _digest(saved), split, prepared)
        if key in self._entries:
            cached: ImageCache = self._get(key)
            return cached
        self._evict_to(_cache_bytes(source) - max_bytes)
        decoded = decode()
        if decoded is not None:
            self._put(key, decoded, decoded.nbytes, limit=_cache_bytes(source))
        return decoded

    def _get(self, key: Hashable) -> Any:
        self._entries.move_to_end(key)
        return self._entries[key][0]

    def _put(self, key: Hashable, value: Any, size: int, *, limit: int) -> None:
        self._evict_to(limit - size)
        if self.nbytes + size <= limit:
            self._entries[key] = (value, size)
            self.nbytes += size

    def _evict_to(self, max_bytes: int) -> None:
        while self._entries and self.nbytes > max_bytes:
            _, (_, size) = self._entries.popitem(last=False)
            self.nbytes -= size


def _source_key(source: Source) -> Hashable:
    """Class and settings that determine the images of a source before augmentation and normalisation."""
    settings = [(field.name, getattr(source, field.name)) for field in fields(source)]
    return (type(source), repr([pair for pair in settings if pair[0] not in _NON_PIXEL_SETTINGS]))


def _cache_bytes(source: Source) -> int:
    return source.cache_mb * 2**20


def _digest(saved: Mapping[str, Any] | None) -> str | None:
    if saved is None:
        return None
    return hashlib.sha256(json.dumps(saved, sort_keys=True).encode()).hexdigest()
