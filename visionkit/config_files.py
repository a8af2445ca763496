"""The folder of the shipped configuration, and a strict YAML loader. Needs PyYAML, but not Hydra."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

__all__ = ["PlainLoader", "conf_folder"]


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
