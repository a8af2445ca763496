"""What a command would run: ``--cfg``, ``--info`` and the verb ``config``, which says where each value comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from visionkit.cli.flags import Request
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


def print_info(request: Request, plain: Mapping[str, Any], choices: Mapping[str, str]) -> int:
    """``--info``: where files are looked for, what was chosen, and the configuration."""
    sections = {
        "searchpath": ["# folders", *(str(folder) for folder in (conf_folder(), *request.config_dirs))],
        "defaults-tree": ["# groups", *(f"{group}: {choice}" for group, choice in choices.items())],
        "plugins": ["# plugins", *(str(name) for name in plain.get("plugins") or ["(none)"])],
        "config": ["# configuration", _dump(plain).rstrip()],
    }
    sections["defaults"] = sections["defaults-tree"]
    shown = ("searchpath", "defaults-tree", "plugins", "config") if request.info == "all" else (request.info,)
    print("\n\n".join("\n".join(sections[name]) for name in shown))
    return ExitCode.DONE


def _dump(value: Any) -> str:
    return dump_yaml(value).removesuffix("...\n")


def _annotated(node: Mapping[str, Any], origins: Mapping[tuple[str, ...], str], path: tuple[str, ...]) -> Iterator[Any]:
    for key, value in node.items():
        inner, indent = (*path, str(key)), "  " * len(path)
        if isinstance(value, Mapping) and value:
            yield f"{indent}{key}:", ""
            yield from _annotated(value, origins, inner)
        else:
            text = dump_yaml(value, one_line=True)
            yield f"{indent}{key}: {text}", origins.get(inner, "")
