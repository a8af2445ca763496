"""What a command would run: ``--cfg``, ``--info`` and the verb ``config``, which says where each value comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from visionkit.cli.flags import Request
from visionkit.cli.origins import ConfigFile
from visionkit.config_files import conf_folder
from visionkit.console import print_json
from visionkit.errors import ExitCode, UserError, did_you_mean
from visionkit.yaml_files import dump_yaml

__all__ = ["print_cfg", "print_config", "print_info"]


def print_cfg(plain: Mapping[str, Any], request: Request) -> int:
    """``--cfg job``: the resolved configuration as YAML, or the part of it that ``--package`` names.

    Raises:
        UserError: If there is no such part.
    """
    if request.cfg == "hydra":
        print("# hydra: visionkit takes nothing from it but the composed groups; see --cfg job")
        return ExitCode.DONE
    node: Any = dict(plain)
    for key in request.package.split(".") if request.package not in ("", "_global_") else ():
        if not isinstance(node, Mapping) or key not in node:
            known = list(node) if isinstance(node, Mapping) else []
            raise UserError(f"--package: there is no '{request.package}'.{did_you_mean(key, known)}")
        node = node[key]
    prefix = f"# @package {request.package}\n" if request.package else ""
    print(prefix + _dump(node), end="")
    return ExitCode.DONE


def print_config(plain: Mapping[str, Any], origins: Mapping[tuple[str, ...], str], *, as_json: bool) -> int:
    """The verb ``config``: YAML with a comment behind each value that says where it comes from."""
    if as_json:
        print_json({"config": plain, "origins": {".".join(path): origin for path, origin in origins.items()}})
        return ExitCode.DONE
    lines = list(_annotated(plain, origins, ()))
    width = min(60, max(len(text) for text, _ in lines))
    for text, origin in lines:
        print(f"{text:<{width}}  # {origin}" if origin else text)
    return ExitCode.DONE


_INFO: Mapping[str, Sequence[str]] = {
    "all": ("plugins", "searchpath", "defaults-tree", "defaults", "config"),
    "config": ("searchpath", "defaults-tree", "defaults", "config"),
}
"""Topics of ``--info`` that show several sections, as Hydra's do."""


def print_info(
    request: Request, plain: Mapping[str, Any], choices: Mapping[str, str], files: Sequence[ConfigFile]
) -> int:
    """``--info``: plugins, where files are looked for, what was chosen, the files in order, and the configuration.

    Args:
        request: The command line.
        plain: The resolved configuration.
        choices: The choice of each group.
        files: The files that the configuration was composed of.
    """
    folders = [("visionkit", conf_folder()), *(("command-line", folder) for folder in request.config_dirs)]
    of_group = {group: [f"  {file.label}" for file in files if file.group == group] for group in choices}
    sections = {
        "plugins": ["# Plugins", *(str(name) for name in plain.get("plugins") or ["none"])],
        "searchpath": ["# Config search path", *_columns([("provider", "folder"), *folders])],
        "defaults-tree": [
            "# Defaults tree",
            *(line for group, choice in choices.items() for line in (f"{group}: {choice}", *of_group[group])),
        ],
        "defaults": [
            "# Defaults list: each on top of those before",
            *_columns([("file", "package"), *((file.label, file.package) for file in files)]),
        ],
        "config": ["# Config", _dump(plain).rstrip()],
    }
    print("\n\n".join("\n".join(sections[name]) for name in _INFO.get(request.info, (request.info,))))
    return ExitCode.DONE


def _columns(rows: Sequence[tuple[Any, Any]]) -> list[str]:
    width = max(len(str(first)) for first, _ in rows)
    return [f"{first!s:<{width}}  {second}" for first, second in rows]


def _dump(value: Any) -> str:
    return dump_yaml(value, flow_style=None, width=100).removesuffix("...\n")


def _annotated(node: Mapping[str, Any], origins: Mapping[tuple[str, ...], str], path: tuple[str, ...]) -> Iterator[Any]:
    for key, value in node.items():
        inner, indent = (*path, str(key)), "  " * len(path)
        if isinstance(value, Mapping) and value:
            yield f"{indent}{key}:", ""
            yield from _annotated(value, origins, inner)
        else:
            text = dump_yaml(value, flow_style=True, width=10**6).splitlines()[0]
            yield f"{indent}{key}: {text}", origins.get(inner, "")
