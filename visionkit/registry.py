"""Names that a configuration may use, and the classes behind them, which are imported when they are asked for."""

import importlib
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from visionkit.errors import UserError, did_you_mean

__all__ = ["Registry", "Row", "load", "load_plugins"]

T = TypeVar("T")


@dataclass(frozen=True)
class Row:
    """What stands behind a name; each a class, or ``"module:Class"`` where it is not imported yet.

    Attributes:
        spec: The frozen dataclass whose fields are the keys of the configuration.
        module: What it describes, such as a `torch.nn.Module`; None where the specification is all there is.
    """

    spec: str | type[Any]
    module: str | type[Any] | None = None


class Registry(Generic[T]):
    """A table from names to specifications (T) and to what these describe. Neither needs to import the other.

    Args:
        kind: What the table holds, in the words of an error message, such as ``"block"``.
        rows: What is known from the beginning.
    """

    def __init__(self, kind: str, rows: Mapping[str, Row] | None = None) -> None:
        self.kind = kind
        self._rows = dict(rows or {})

    def register(self, name: str, *, module: str | type[Any] | None = None) -> Callable[[type[T]], type[T]]:
        """Decorate a specification so that configurations reach it as ``name``.

        Args:
            name: As in ``type: NAME``.
            module: What it describes; that of the registered class it is derived from unless given.

        Raises:
            UserError: If another class already holds the name.
        """

        def add(cls: type[T]) -> type[T]:
            known = self._rows.get(name)
            if known is not None and _path(known.spec) != _path(cls):
                first, second = (_path(spec).partition(":")[0] for spec in (known.spec, cls))
                raise UserError(f"{self.kind} '{name}' is defined twice: in {first} and in {second}. Rename one.")
            self._rows[name] = Row(cls, module)
            return cls

        return add

    def get(self, name: str) -> type[T]:
        """The specification behind a name.

        Raises:
            UserError: If there is none; the message lists the names and the nearest one.
        """
        if name not in self._rows:
            raise UserError(
                f"no {self.kind} is called '{name}'.{did_you_mean(name, self._rows)} "
                f"Known: {', '.join(self.names())}. One of your own is named with plugins=[your_module]."
            )
        return load(self._rows[name].spec)

    def names(self) -> list[str]:
        """All names, sorted."""
        return sorted(self._rows)

    def name_of(self, cls: type[T]) -> str:
        """The name under which a specification is registered."""
        return next(name for name, row in self._rows.items() if _path(row.spec) == _path(cls))

    def module_of(self, cls: type[T]) -> type[Any]:
        """What a registered specification describes; that of the nearest class it is derived from, if it names none.

        Raises:
            UserError: If none of these names any.
        """
        modules = {_path(row.spec): row.module for row in self._rows.values() if row.module is not None}
        found = next((modules[_path(base)] for base in cls.__mro__ if _path(base) in modules), None)
        if found is None:
            raise UserError(
                f"{self.kind} '{self.name_of(cls)}' does not say what it describes. "
                f'Expected where it is registered: module="package.module:Class"'
            )
        return load(found)


def load(path: str | type[Any]) -> type[Any]:
    """Import the class that ``"module:Class"`` names; a class is given back as it is."""
    if not isinstance(path, str):
        return path
    module, _, name = path.partition(":")
    found: type[Any] = getattr(importlib.import_module(module), name)
    return found


def load_plugins(modules: Iterable[str]) -> None:
    """Import the modules in which somebody else's blocks, heads or data sources are decorated.

    The working directory is searched too, as ``python -m`` does.

    Raises:
        UserError: If a module cannot be found or fails while it is imported.
    """
    for module in modules:
        if "" not in sys.path and os.getcwd() not in sys.path:
            sys.path.append(os.getcwd())
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as error:
            raise UserError(
                f"plugin '{module}' cannot be imported: no module named '{error.name}'. "
                "Expected a module that Python finds from here or among the installed packages, "
                "such as plugins=[my_package.my_blocks]."
            ) from error
        except UserError:
            raise
        except Exception as error:
            raise UserError(f"plugin '{module}' fails while it is imported: {type(error).__name__}: {error}") from error


def _path(cls: str | type[Any]) -> str:
    return cls if isinstance(cls, str) else f"{cls.__module__}:{cls.__qualname__}"
