"""Finding and reading backbone files, which are plain YAML."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from fnmatch import fnmatch
from functools import lru_cache
from pathlib import Path
from typing import Any

from visionkit.config_files import conf_folder
from visionkit.errors import UserError, did_you_mean
from visionkit.files import read_text, similar_path
from visionkit.schema import describe
from visionkit.yaml_files import has_interpolation, load_yaml

__all__ = ["backbone_file", "list_backbones", "load_backbone_file"]

_MAX_FILE_BYTES = 256 * 1024


def load_backbone_file(path: Path) -> dict[str, Any]:
    """Read the content of a backbone file; its keys are not checked yet.

    Raises:
        UserError: If the file is missing, too large, empty, no mapping, not plain YAML, or has a duplicate key.
    """
    if not path.is_file():
        raise UserError(f"backbone file '{path}' does not exist. Expected a YAML file, such as backbone=my_net.yaml.")
    status = path.stat()
    if status.st_size > _MAX_FILE_BYTES:
        raise UserError(
            f"{path}: a backbone file has at most {_MAX_FILE_BYTES // 1024} KiB; found {status.st_size // 1024} KiB."
        )
    return deepcopy(_parse_file(path, status.st_mtime_ns, status.st_size, status.st_ino))


@lru_cache(maxsize=256)
def _parse_file(path: Path, *version: int) -> dict[str, Any]:
    """The content of a file as it is now, which ``version`` tells from an earlier one."""
    try:
        text = read_text(path, max_bytes=_MAX_FILE_BYTES)
    except UnicodeError as error:
        raise UserError(f"{path}: not a plain YAML file: {error}.") from None
    content = load_yaml(text, where=str(path))
    if content is None:
        raise UserError(f"{path}: the file is empty. Expected the keys name, stages and classifier.")
    if not isinstance(content, dict):
        raise UserError(
            f"{path}: expected a mapping with the keys name, stages and classifier, found {describe(content)}."
        )
    if "defaults" in content:
        raise UserError(f"{path}: the key 'defaults' is Hydra's own word. Use 'layer_defaults'.")
    if has_interpolation(content):
        raise UserError(f"{path}: interpolations such as ${{...}} are not allowed in a backbone file; write the value.")
    return content


def list_backbones(pattern: str = "*") -> list[str]:
    """The names of the backbones of visionkit, sorted; those of timm are ``timm.list_models()``.

    Args:
        pattern: A shell pattern such as ``"resnet*"``.
    """
    names = {path.stem for path in (conf_folder() / "backbone").glob("*.yaml")} - {"timm"}
    return sorted(name for name in names if fnmatch(name, pattern))


def backbone_file(name: str, folders: Iterable[Path] = ()) -> Path:
    """The file of a backbone by its name, or the path itself.

    Args:
        name: Such as ``"resnet50"`` or ``"my/own.yaml"``.
        folders: Configuration folders to search before visionkit's own.

    Raises:
        UserError: If there is no such file; the message suggests a similar name.
    """
    if name.endswith((".yaml", ".yml")):
        if not Path(name).is_file():
            stem = Path(name).stem
            shipped = f" Did you mean backbone={stem}?" if stem in list_backbones() else similar_path(name)
            raise UserError(f"backbone file '{name}' does not exist (looked in {Path.cwd()}).{shipped}")
        return Path(name)
    for folder in (*folders, conf_folder()):
        path = folder / "backbone" / f"{name}.yaml"
        if path.is_file():
            return path
    names = sorted({*list_backbones(), *(p.stem for f in folders for p in (f / "backbone").glob("*.yaml"))})
    raise UserError(
        f"no backbone is called '{name}'.{did_you_mean(name, names)} python -m visionkit list backbones shows all "
        f"{len(names)}. A file of your own is given by its path: backbone=my_net.yaml."
    )
