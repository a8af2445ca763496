"""Where each value of a configuration comes from: a file of ``conf/``, a run, or the command line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from visionkit.backbones.files import load_backbone_file
from visionkit.cli.overrides import ParsedOverrides
from visionkit.config_files import conf_folder, group_file, group_files
from visionkit.files import expand_user
from visionkit.yaml_files import read_yaml

__all__ = ["ConfigFile", "chosen_groups", "find_origins", "merged_files"]

_MISSING = object()


@dataclass(frozen=True)
class ConfigFile:
    """A file whose values lie on top of those of the files before it.

    Attributes:
        label: ``conf/recipe/sgd.yaml``, or the path of a user's file.
        group: The group that it belongs to; empty for ``config.yaml``.
        values: Its own values.
    """

    label: str
    group: str
    values: Mapping[str, Any]

    @property
    def package(self) -> str:
        """Where its values lie in the configuration, in Hydra's words."""
        return self.group if self.group not in ("", "experiment") else "_global_"

    @property
    def config(self) -> Mapping[str, Any]:
        """Its values at their place in the configuration."""
        return self.values if self.package == "_global_" else {self.group: self.values}


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
    files = merged_files(parsed.groups if run else chosen_groups(parsed.groups, config_dirs), config_dirs)
    layers = [(f"run={run}", plain)] if run else []
    layers += [(file.label, file.config) for file in files if not run or file.group]
    typed = [tuple(value.key.split(".")) for value in parsed.values if not value.delete]
    origins = {}
    for path, value in _leaves(plain, ()):
        label = next((name for name, values in reversed(layers) if _at(values, path) == value), "plugin")
        is_typed = any(path[: len(key)] == key or key[: len(path)] == path for key in typed)
        origins[path] = "typed" if is_typed else label
    return origins


def merged_files(choices: Mapping[str, str], config_dirs: Sequence[Path]) -> list[ConfigFile]:
    """The files of a configuration, in the order in which they are laid upon each other."""
    values = {key: value for key, value in _read(conf_folder() / "config.yaml").items() if key != "defaults"}
    files = [ConfigFile("conf/config.yaml", "", values)]
    for group, choice in choices.items():
        files += _files_of(group, choice, config_dirs)
    return sorted(files, key=lambda file: file.group == "experiment")  # its values lie above those of the groups


def _files_of(group: str, choice: str, config_dirs: Sequence[Path]) -> Iterator[ConfigFile]:
    """The files of a choice, those it inherits from first; none of a plugin's choice, or ``null``."""
    if group == "backbone" and choice.endswith((".yaml", ".yml")):
        yield ConfigFile(choice, group, load_backbone_file(expand_user(choice)))
    elif group_file(group, choice, config_dirs) is not None:
        for file, values in group_files(group, choice, config_dirs, choices=group in ("task", "experiment")):
            shipped = file.is_relative_to(conf_folder())
            yield ConfigFile(f"conf/{group}/{file.name}" if shipped else str(file), group, values)


def _group_file(group: str, choice: str, config_dirs: Sequence[Path]) -> dict[str, Any]:
    file = group_file(group, choice, config_dirs)
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
