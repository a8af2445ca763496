"""Where each value of a configuration comes from: a file of ``conf/``, a run, or the command line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from visionkit.cli.overrides import ParsedOverrides
from visionkit.config_files import conf_folder
from visionkit.yaml_files import read_yaml

__all__ = ["chosen_groups", "find_origins"]

_MISSING = object()


def chosen_groups(typed: Mapping[str, str], config_dirs: Sequence[Path]) -> dict[str, str]:
    """The choice of each group: what is typed, else what the experiment, the task or ``config.yaml`` choose."""
    choices = _choices_of(_read(conf_folder() / "config.yaml"))
    experiment = typed.get("experiment") or choices.get("experiment", "null")
    from_experiment = _choices_of(_group_file("experiment", experiment, config_dirs))
    task = typed.get("task") or from_experiment.get("task") or choices["task"]
    return choices | _choices_of(_group_file("task", task, config_dirs)) | from_experiment | dict(typed)


def find_origins(
    plain: Mapping[str, Any], parsed: ParsedOverrides, config_dirs: Sequence[Path], *, run: str = ""
) -> dict[tuple[str, ...], str]:
    """Where each value comes from.

    Args:
        plain: The resolved configuration.
        parsed: What was typed.
        config_dirs: Folders of the user's.
        run: The folder of the run whose configuration was changed; empty if the groups were composed.

    Returns:
        Paths of keys to a file, the run, ``typed``, or ``plugin`` for what no file holds.
    """
    layers: list[tuple[str, Any]] = [(f"run={run}", plain)] if run else []
    if not run:
        layers.append(("conf/config.yaml", _read(conf_folder() / "config.yaml")))
    choices = parsed.groups if run else chosen_groups(parsed.groups, config_dirs)
    for group, choice in choices.items():
        for label, values in _layers(group, choice, config_dirs):
            layers.append((label, values if group == "experiment" else {group: values}))
    layers.sort(key=lambda layer: "experiment/" in layer[0])  # an experiment's values lie above those of the groups
    typed = [tuple(value.key.split(".")) for value in parsed.values if not value.delete]
    origins = {}
    for path, value in _leaves(plain, ()):
        label = next((name for name, values in reversed(layers) if _at(values, path) == value), "plugin")
        is_typed = any(path[: len(key)] == key or key[: len(path)] == path for key in typed)
        origins[path] = "typed" if is_typed else label
    return origins


def _layers(group: str, choice: str, config_dirs: Sequence[Path]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The files of a choice, those it inherits from first, and the values of each."""
    file = _find(group, choice, config_dirs)
    if file is None:
        return
    content = _read(file)
    for default in content.get("defaults", ()):
        if isinstance(default, str) and default != "_self_":
            yield from _layers(group, default, config_dirs)
    shipped = file.is_relative_to(conf_folder())
    label = f"conf/{group}/{file.name}" if shipped else str(file)
    yield label, {key: value for key, value in content.items() if key != "defaults"}


def _find(group: str, choice: str, config_dirs: Sequence[Path]) -> Path | None:
    files = [folder / group / f"{choice}.yaml" for folder in (conf_folder(), *config_dirs)]
    if choice.endswith((".yaml", ".yml")):
        files.append(Path(choice).expanduser())
    return next((file for file in files if file.is_file()), None)


def _group_file(group: str, choice: str, config_dirs: Sequence[Path]) -> dict[str, Any]:
    file = _find(group, choice, config_dirs)
    return {} if file is None else _read(file)


def _choices_of(content: Mapping[str, Any]) -> dict[str, str]:
    """The choices of groups in the ``defaults`` of a file, such as ``override /head: fcos``."""
    entries = [entry for entry in content.get("defaults", ()) if isinstance(entry, dict)]
    return {
        key.removeprefix("override ").lstrip("/").partition("@")[0]: "null" if choice is None else str(choice)
        for entry in entries
        for key, choice in entry.items()
    }


def _read(file: Path) -> dict[str, Any]:
    return dict(read_yaml(file) or {})


def _leaves(node: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(node, Mapping) and node:
        for key, value in node.items():
            yield from _leaves(value, (*path, str(key)))
    else:
        yield path, node


def _at(node: Any, path: Sequence[str]) -> Any:
    for key in path:
        if not isinstance(node, Mapping) or key not in node:
            return _MISSING
        node = node[key]
    return node
