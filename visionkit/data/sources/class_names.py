"""Names of classes that may be a mistake."""

from __future__ import annotations

import re
from collections.abc import Iterable

from visionkit.data.findings import Finding
from visionkit.text import normal_form

__all__ = ["doubtful_classes"]

_MISSING = frozenset({"none", "nil", "missing", "n.a.", "-", "--", "?", "unlabeled", "unlabelled"})


def doubtful_classes(names: Iterable[str]) -> list[Finding]:
    """Findings on classes that are written like another or almost, and on those whose name may mean that there is none.

    Args:
        names: The name of each class.
    """
    first_of: dict[str, str] = {}
    alike, missing = list[str](), list[str]()
    for name in names:
        key = _key(name)
        if key in first_of:
            alike.append(f"{first_of[key]} and {name}")
        first_of.setdefault(key, name)
        if name.strip().lower() in _MISSING:
            missing.append(name)
    return [*Finding.of("classes-alike", alike), *Finding.of("class-means-missing", missing)]


def _key(name: str) -> str:
    """The same for names that differ in case, in spaces, hyphens and underscores, or as ``1`` and ``1.0``."""
    text = normal_form(name).casefold()
    number = re.fullmatch(r"(\d+)\.0+", text)
    return number[1] if number else re.sub(r"[\s_-]+", "", text) or text
