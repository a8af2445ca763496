"""The Python objects among the keywords of a call, which no word can stand for."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from visionkit.errors import UserError

if TYPE_CHECKING:
    from visionkit.runs.objects import RunObjects

__all__ = ["changed_settings", "holds_dataset", "is_logger_name", "refuse_objects", "take_objects"]

_PLAIN = (str, bool, int, float, Mapping, type(None))


def take_objects(keywords: dict[str, Any]) -> RunObjects:
    """Take the objects of a run out of the keywords of a call; what the configuration can say stays.

    Args:
        keywords: ``head``, ``loss``, ``metrics`` and ``dataset`` may be objects; a data set leaves its settings behind.

    Raises:
        UserError: If an object is of the wrong type.
    """
    from visionkit.data.sources.python.given import separate
    from visionkit.runs.objects import RunObjects

    objects: dict[str, Any] = {}
    if isinstance(keywords.get("dataset"), Mapping) and not keywords["dataset"]:
        raise UserError("dataset: found an empty mapping, which names no data set. Expected {'type': ...}, or none.")
    for name in ("head", "loss"):
        if not isinstance(keywords.get(name), _PLAIN):
            objects[name] = keywords.pop(name)
    if _holds_objects(keywords.get("metrics")):
        objects["metrics"] = keywords.pop("metrics")
    if holds_dataset(keywords.get("dataset")):
        datasets, settings = separate(keywords["dataset"])
        objects["datasets"] = datasets
        keywords["dataset"] = settings if _is_of_python(keywords.get("run")) else {"type": "python", **settings}
    return RunObjects.of(**objects)


def holds_dataset(value: Any) -> bool:
    """Whether what is given as a data set is an object, or a mapping of one or more; a list of items is one too."""
    from visionkit.data.sources.python.given import WHOLE
    from visionkit.data.sources.split_names import SPLIT_NAMES

    if isinstance(value, os.PathLike):
        return False
    if isinstance(value, list | tuple):
        return _is_item_list(value)
    if isinstance(value, Mapping):
        given = [value[key] for key in (WHOLE, *SPLIT_NAMES) if key in value]
        if any(_is_item_list(each) or (each is not None and not isinstance(each, str | Mapping)) for each in given):
            return True
    return _holds_objects(value)


def changed_settings(settings: Mapping[str, Any], stored: Mapping[str, Any]) -> dict[str, Any]:
    """The settings given with a data set that differ from a run's, so that the same mapping can be given again.

    Args:
        settings: As `take_objects` leaves them.
        stored: The configuration of the run.
    """
    dataset = stored.get("dataset")
    known = dataset if isinstance(dataset, Mapping) else {}
    return {
        key: value
        for key, value in settings.items()
        if key != "type" and (key not in known or known[key] != (list(value) if isinstance(value, tuple) else value))
    }


def refuse_objects(keywords: Mapping[str, Any], *, verb: str) -> None:
    """Check that a call that makes several runs is given no objects.

    Raises:
        UserError: If ``dataset``, ``head``, ``loss``, ``metrics``, ``callbacks`` or ``logger`` is or holds one.
    """
    given = [name for name in ("head", "loss", "metrics", "callbacks", "logger") if _has_object(keywords.get(name))]
    dataset = keywords.get("dataset")
    if _has_object(dataset) or (isinstance(dataset, Mapping) and holds_dataset(dataset)):
        given.insert(0, "dataset")
    if given:
        raise UserError(
            f"{given[0]}: {verb} takes no Python objects, for each of its runs is read from a configuration. Expected "
            f"what a file can say. With an object, train one run after another: for seed in (0, 1): "
            f"visionkit.train(..., {given[0]}=..., seed=seed)"
        )


def is_logger_name(logger: Any) -> bool:
    """Whether a logger is one of the configuration, or several, by name or as a mapping, and no object."""
    if isinstance(logger, list | tuple):
        return bool(logger) and all(isinstance(each, str) for each in logger)
    return isinstance(logger, str | dict)


def _has_object(value: Any) -> bool:
    """Whether a value is or holds an object, a list of mappings or lists being plain."""
    if isinstance(value, Mapping):
        return any(_has_object(inner) for inner in value.values())
    if isinstance(value, list | tuple):
        return any(_has_object(inner) for inner in value)
    return not isinstance(value, (*_PLAIN, os.PathLike)) and getattr(value, "ndim", None) != 0


def _is_item_list(value: Any) -> bool:
    """Whether a value is a list of items rather than of names."""
    return isinstance(value, list | tuple) and not (value and all(isinstance(each, str) for each in value))


def _is_of_python(run: Any) -> bool:
    """Whether a run that is repeated or resumed was made with a data set of Python, whose settings then stay."""
    from visionkit.runs.objects import is_marker
    from visionkit.runs.opening import run_folder

    return run is not None and is_marker(run_folder(run, verb="train").read_config().get("dataset"))


def _holds_objects(value: Any) -> bool:
    """Whether a value, or one of a list or mapping, is an object."""
    if isinstance(value, Mapping):
        return any(not isinstance(inner, (*_PLAIN, list, tuple)) for inner in value.values())
    if isinstance(value, list | tuple):
        return any(not isinstance(inner, _PLAIN) for inner in value)
    return not isinstance(value, _PLAIN)
