"""The files of ``conf/``, the only place of default values. Needs PyYAML, but not Hydra, which reads them alike."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import MISSING, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from visionkit.errors import UserError, did_you_mean
from visionkit.registry import Registry

__all__ = ["PlainLoader", "complete", "conf_folder", "group_names", "overlay", "read_group_file", "task_choices"]


@lru_cache(maxsize=1)
def conf_folder() -> Path:
    """The folder ``conf/``: inside the package when installed, next to it in a checkout.

    Raises:
        FileNotFoundError: If the installation is incomplete.
    """
    package = Path(__file__).resolve().parent
    for folder in (package / "conf", package.parent / "conf"):
        if (folder / "config.yaml").is_file():
            return folder
    raise FileNotFoundError("visionkit is not installed completely: conf/config.yaml is missing. Install it again.")


class PlainLoader(yaml.SafeLoader):
    """Loads YAML's safe subset; refuses aliases, duplicate keys and keys that are no strings.

    Numbers such as ``1e-3``, which YAML 1.1 takes for strings, are floats.
    """

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            event: Any = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.constructor.ConstructorError(
                None, None, f"the alias '*{event.anchor}' is not allowed; write the value out", event.start_mark
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key.value, str):
                raise yaml.constructor.ConstructorError(None, None, "a key must be a word", key.start_mark)
            if key.value in keys:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key '{key.value}' is given twice", key.start_mark
                )
            keys.add(key.value)
        return super().construct_mapping(node, deep)


PlainLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:\d+\.?\d*|\.\d+)[eE][-+]?\d+$"),
    list("-+.0123456789"),
)


def group_names(group: str, folders: Sequence[Path] = ()) -> list[str]:
    """The choices of a group, sorted; files whose names begin with ``_`` hold what others share and are none.

    Args:
        group: The name of a folder in ``conf/``.
        folders: Folders of the user's with groups of their own.
    """
    files = (file for folder in (*folders, conf_folder()) for file in (folder / group).glob("[!_]*.yaml"))
    return sorted({file.stem for file in files})


def read_group_file(group: str, name: str, folders: Sequence[Path] = ()) -> dict[str, Any]:
    """The values of ``GROUP/NAME.yaml``, on top of those of the files of the same group in its ``defaults``.

    Args:
        group: The name of a folder in ``conf/``.
        name: The name of the file without its suffix.
        folders: Folders of the user's, searched in addition to ``conf/``.

    Raises:
        UserError: If there is no such file, or it is no mapping that the strict loader takes.
    """
    return deepcopy(_read_group_file(group, name, tuple(folders)))


@lru_cache(maxsize=256)
def _read_group_file(group: str, name: str, folders: tuple[Path, ...]) -> dict[str, Any]:
    file = next((f for folder in (*folders, conf_folder()) if (f := folder / group / f"{name}.yaml").is_file()), None)
    if file is None:
        raise UserError(f"no {group} is called '{name}'. Known: {', '.join(group_names(group, folders))}.")
    try:
        content = yaml.load(file.read_text(encoding="utf-8"), PlainLoader)
    except yaml.YAMLError as error:
        raise UserError(f"'{file}' cannot be read: {error}") from None
    if not isinstance(content, dict):
        raise UserError(f"'{file}': expected keys and values.")
    defaults = content.pop("defaults", ["_self_"])
    values: dict[str, Any] = {}
    for default in defaults if "_self_" in defaults else [*defaults, "_self_"]:
        values = overlay(values, content if default == "_self_" else _read_group_file(group, default, folders))
    return values


def overlay(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with ``changes``: mappings are merged key by key, all other values are replaced."""
    merged = dict(base)
    for key, value in changes.items():
        existing = merged.get(key)
        if isinstance(existing, Mapping) and isinstance(value, Mapping):
            value = overlay(existing, value)
        merged[key] = value
    return merged


def complete(
    group: str, values: str | Mapping[str, Any], registry: Registry[Any], folders: Sequence[Path] = ()
) -> dict[str, Any]:
    """All keys of a head or data set of which some are given.

    Args:
        group: ``head`` or ``dataset``.
        values: The name of a file of the group, or a mapping whose ``type`` names one; its other keys lie on top of the
            file's, an empty mapping clears. A class of a plugin's without a file takes what its kind shares: the keys
            of the file ``_TASK`` or ``_base`` of which it has no default.
        registry: The specifications of the group.
        folders: Folders of the user's, searched in addition to ``conf/``.

    Raises:
        UserError: If ``type`` is neither the name of a file nor registered.
    """
    given = {"type": values} if isinstance(values, str) else dict(values)
    name = given.pop("type", None)
    cleared = {key: value for key, value in given.items() if value == {}}
    if name in group_names(group, folders):
        return overlay(read_group_file(group, name, folders), given) | cleared
    known = sorted({*group_names(group, folders), *registry.names()})
    if name not in known:
        raise UserError(
            f"no {group} is called '{name}'.{did_you_mean(str(name), known)} Known: {', '.join(known)}. "
            "One of your own is named with plugins=[your_module]."
        )
    spec = registry.get(name)
    required = {f.name for f in fields(spec) if f.default is MISSING and f.default_factory is MISSING}
    task = getattr(spec, "task", None)
    shared = f"_{task}" if task and (conf_folder() / group / f"_{task}.yaml").is_file() else "_base"
    if not (conf_folder() / group / f"{shared}.yaml").is_file():
        return {"type": name, **given}
    kept = {key: value for key, value in read_group_file(group, shared).items() if key in required}
    return {"type": name, **overlay(kept, given), **cleared}


@lru_cache(maxsize=16)
def task_choices(task: str) -> dict[str, str]:
    """The choices of other groups that ``conf/task/NAME.yaml`` makes, such as ``{"head": "fcos_small"}``."""
    content = yaml.safe_load((conf_folder() / "task" / f"{task}.yaml").read_text(encoding="utf-8"))
    choices: dict[str, str] = {}
    for default in content.get("defaults", ()):
        for key, choice in default.items() if isinstance(default, dict) else ():
            choices[key.removeprefix("override /").partition("@")[0]] = choice
    return choices
