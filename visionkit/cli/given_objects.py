"""The Python objects among the keywords of a call, which no word can stand for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from visionkit.runs.objects import RunObjects

__all__ = ["take_objects"]

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
    for name in ("head", "loss"):
        if not isinstance(keywords.get(name), _PLAIN):
            objects[name] = keywords.pop(name)
    if _holds_objects(keywords.get("metrics")):
        objects["metrics"] = keywords.pop("metrics")
    if _holds_objects(keywords.get("dataset")):
        datasets, settings = separate(keywords["dataset"])
        objects["datasets"] = datasets
        keywords["dataset"] = settings if _is_of_python(keywords.get("run")) else {"type": "python", **settings}
    return RunObjects.of(**objects)


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
