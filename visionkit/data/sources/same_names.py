"""Names that are the same but for case and the form of Unicode, as other systems and programs write them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from visionkit.text import fold_name, normal_form

__all__ = ["by_folded_name", "match_names"]


def match_names(names: Collection[str], others: Collection[str]) -> tuple[dict[str, str], list[str]]:
    """The equal name among others of each name; of those that are left over, the only one of another case.

    Args:
        names: Names, each once.
        others: The names to find, each once.

    Returns:
        The other name of each name that has one, in the order of the names; and the names whose other one differs by
        more than the form of Unicode.
    """
    exact = set(names).intersection(others)
    left = by_folded_name(name for name in others if name not in exact) if len(exact) < len(others) else {}
    own = by_folded_name(name for name in names if name not in exact) if left else {}
    folded = {name: left[key] for key, name in own.items() if key in left}
    found = {name: folded.get(name, name) for name in names if name in exact or name in folded}
    return found, [name for name in found if normal_form(name) != normal_form(found[name])]


def by_folded_name(names: Iterable[str]) -> Mapping[str, str]:
    """The names by themselves as `visionkit.text.fold_name` writes them, without those that are then equal."""
    found = [(fold_name(name), name) for name in names]
    counts = Counter(key for key, _ in found)
    return {key: name for key, name in found if counts[key] == 1}
