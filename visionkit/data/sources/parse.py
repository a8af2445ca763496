"""Parsing the ``dataset`` section of a configuration, and checking its targets against the task's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from visionkit.config_files import complete
from visionkit.data.sources.base import SOURCES, Source
from visionkit.errors import UserError, plural
from visionkit.schema import parse_typed

__all__ = ["check_target", "parse_source", "read_source"]


def read_source(values: str | Mapping[str, Any]) -> Source:
    """Read a data set as the command line does, with the values of its file.

    Args:
        values: The name of a file in ``conf/dataset``, or a mapping with ``type``, such a name, and keys that differ
            from the file's.

    Raises:
        UserError: As `parse_source`.
    """
    return parse_source(complete("dataset", values, SOURCES))


def parse_source(mapping: Any) -> Source:
    """The data source that a ``dataset`` section describes.

    Args:
        mapping: ``{type: NAME, ...}`` with all keys of the data set.

    Raises:
        UserError: If the name, a key or a value is not valid.
    """
    return parse_typed(SOURCES, mapping, where="dataset")


def check_target(source_name: str, task_name: str, target: str) -> None:
    """Check that a data set provides the target which a task needs.

    Args:
        source_name: A name in `SOURCES`.
        task_name: The task's name, for the message.
        target: The kind of target, such as ``boxes``.

    Raises:
        UserError: If it does not; the message lists the data sets that do.
    """
    targets = SOURCES.get(source_name).targets
    if target in targets:
        return
    names = (name for name in SOURCES.names() if name != "python")  # which is given in Python alone
    matching = [name for name in names if target in SOURCES.get(name).targets]
    matching.sort(key=lambda name: name != "digits")  # first the one that needs no files
    given = " and ".join(map(plural, sorted(targets)))
    needed = plural(target)
    advice = (
        f"Data sets with {needed}: {', '.join(matching)}. Try: dataset={matching[0]}"
        if matching
        else f"No data set known here gives {needed}; one of your own is named with plugins=[your_module]."
    )
    raise UserError(f"dataset '{source_name}' gives {given}, but task '{task_name}' needs {needed}. {advice}")
