"""The files of ``conf/``, the only place of default values. Needs PyYAML, but not Hydra, which reads them alike."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import MISSING, fields, is_dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from visionkit.errors import UserError, did_you_mean
from visionkit.registry import Registry
from visionkit.schema import Registered, describe
from visionkit.yaml_files import has_interpolation, read_yaml

__all__ = [
    "complete",
    "conf_folder",
    "group_file",
    "group_files",
    "group_names",
    "nested_settings",
    "overlay",
    "overlay_settings",
    "read_group_file",
    "task_choices",
]


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
    if folders:
        return _read_group_file(group, name, tuple(folders))
    return deepcopy(_read_shipped_file(group, name))


@lru_cache(maxsize=256)
def _read_shipped_file(group: str, name: str) -> dict[str, Any]:
    return _read_group_file(group, name, ())


def _read_group_file(group: str, name: str, folders: tuple[Path, ...]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for _, own in group_files(group, name, folders):
        values = overlay(values, own)
    return values


def group_file(group: str, name: str, folders: Sequence[Path] = ()) -> Path | None:
    """The file of a choice; None if there is none."""
    return next((f for folder in (conf_folder(), *folders) if (f := folder / group / f"{name}.yaml").is_file()), None)


def group_files(
    group: str, name: str, folders: Sequence[Path] = (), *, heirs: tuple[str, ...] = (), choices: bool = False
) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The files that make a choice, and the values that each holds itself: a later one lies on top of those before.

    Args:
        group: The name of a folder in ``conf/``.
        name: The name of the file without its suffix.
        folders: Folders of the user's, searched in addition to ``conf/``.
        heirs: The files that inherit from this one.
        choices: Whether ``defaults`` may choose for other groups, as those of tasks and experiments do.

    Raises:
        UserError: If there is no such file, or it is no mapping that the strict loader takes.
    """
    file = group_file(group, name, folders)
    if file is None:
        raise UserError(f"no {group} is called '{name}'. Known: {', '.join(group_names(group, folders))}.")
    content = read_yaml(file)
    if not isinstance(content, dict):
        raise UserError(f"'{file}': expected keys and values.")
    if has_interpolation(content):
        raise UserError(f"'{file}': interpolations such as ${{...}} are not read; write the value out.")
    defaults = content.pop("defaults", ["_self_"])
    if choices and isinstance(defaults, list):
        defaults = [default for default in defaults if isinstance(default, str)]
    if not isinstance(defaults, list) or not all(isinstance(d, str) and re.fullmatch(r"[\w.-]+", d) for d in defaults):
        raise UserError(
            f"'{file}': defaults: expected a list of files of the same group, such as [{name}_base, _self_], "
            f"found {describe(defaults)}."
        )
    if name in heirs:
        raise UserError(f"'{file}': defaults: {' and '.join(heirs)} inherit from each other in a circle.")
    for default in defaults if "_self_" in defaults else [*defaults, "_self_"]:
        if default == "_self_":
            yield file, content
        else:
            yield from group_files(group, default, folders, heirs=(*heirs, name), choices=choices)


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
        values: The name of a file of the group, or a mapping whose ``type`` names one; its other keys replace the
            file's, but for `nested_settings`. A class of a plugin's without a file takes the keys of which it has no
            default from the file of its base class, or from ``_TASK`` or ``_base``, what its kind shares.
        registry: The specifications of the group.
        folders: Folders of the user's, searched in addition to ``conf/``.

    Raises:
        UserError: If ``type`` is neither the name of a file nor registered, or both for different things.
    """
    given: dict[str, Any] = {"type": values} if isinstance(values, str) else dict(values)
    name, files = given.pop("type", None), group_names(group, folders)
    known = sorted({*files, *registry.names()})
    if not isinstance(name, str):
        raise UserError(
            f"{group}: expected a mapping whose 'type' is one of {', '.join(known)}; found {describe(values)}."
        )
    if name not in known:
        raise UserError(
            f"no {group} is called '{name}'.{did_you_mean(name, known)} Known: {', '.join(known)}. "
            "One of your own is named with plugins=[your_module]."
        )
    shared = read_group_file(group, name, folders) if name in files else _shared_values(group, name, registry)
    kind = shared.get("type", name)
    if name in registry.names() and kind != name:
        raise UserError(
            f"{group} '{name}' is defined twice: by a plugin and in a file, as a {kind}. Rename the plugin's."
        )
    nested = nested_settings(registry.get(kind))
    for key in nested.keys() & given.keys() & shared.keys():
        if isinstance(shared[key], Mapping):
            given[key] = overlay_settings(shared[key], given[key], nested[key])
    return {"type": kind, **shared, **given}


def nested_settings(spec: type[Any]) -> dict[str, Registry[Any] | None]:
    """The fields of a specification that are specifications themselves: what is given of them lies on top.

    Any other mapping, such as augmentations or the factors of losses, replaces an earlier one.

    Returns:
        Field names to the registry in which their ``type`` is looked up; None where they have no type.
    """
    hints = get_type_hints(spec, include_extras=True)
    nested: dict[str, Registry[Any] | None] = {}
    for name in (field.name for field in fields(spec)):
        kind, *marks = get_args(hints[name]) if get_origin(hints[name]) is Annotated else (hints[name],)
        if is_dataclass(kind) and _required_fields(kind):
            nested[name] = next((mark.registry for mark in marks if isinstance(mark, Registered)), None)
    return nested


def overlay_settings(base: Mapping[str, Any], given: Any, registry: Registry[Any] | None) -> Any:
    """Settings with what is given of them on top; of another ``type`` with the keys that it requires alone.

    Args:
        base: All keys of the settings.
        given: A mapping of some keys; the name of a type; or any other value, which replaces ``base``.
        registry: The registry of the types; None where there are none.
    """
    if registry is not None and isinstance(given, str):
        given = {"type": given}
    if not isinstance(given, Mapping):
        return given
    kind = given.get("type", base.get("type"))
    if registry is None or kind == base.get("type") or kind not in registry.names():
        return overlay(base, given)
    required = _required_fields(registry.get(kind))
    return overlay({key: value for key, value in base.items() if key in required}, given)


def _required_fields(spec: Any) -> set[str]:
    return {f.name for f in fields(spec) if f.init and f.default is MISSING and f.default_factory is MISSING}


def _shared_values(group: str, name: str, registry: Registry[Any]) -> dict[str, Any]:
    """What a class without a file takes from that of the nearest base class, or else of its kind."""
    spec = registry.get(name)
    names = {registry.get(other): other for other in registry.names()}
    candidates = [names[base] for base in spec.__mro__[1:] if base in names]
    candidates += [f"_{getattr(spec, 'task', '')}", "_base"]
    file = next((c for c in candidates if (conf_folder() / group / f"{c}.yaml").is_file()), None)
    values = {} if file is None else read_group_file(group, file)
    required = _required_fields(spec)
    return {key: value for key, value in values.items() if key in required}


@lru_cache(maxsize=16)
def task_choices(task: str) -> dict[str, str]:
    """The choices of other groups that ``conf/task/NAME.yaml`` makes, such as ``{"head": "fcos_small"}``."""
    content = read_yaml(conf_folder() / "task" / f"{task}.yaml")
    choices: dict[str, str] = {}
    for default in content.get("defaults", ()):
        for key, choice in default.items() if isinstance(default, dict) else ():
            choices[key.removeprefix("override /").partition("@")[0]] = choice
    return choices
