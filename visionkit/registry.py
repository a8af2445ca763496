"""Registries: tables from names in a configuration to classes and functions, imported when they are needed."""

import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from visionkit.errors import UserError, did_you_mean

__all__ = [
    "Registry",
    "Row",
    "check_installed",
    "load",
    "load_plugins",
    "note_own_code",
    "plugin_failure",
    "plugins_loaded",
]

T = TypeVar("T")

_plugins: set[str] = set()
_own_modules: set[str] = set()
_LIBRARIES = {"lightning", "pytorch_lightning", "torch", "torchmetrics", "torchvision", "visionkit"}


@dataclass(frozen=True)
class Row:
    """The classes registered under a name: each a class, or ``"module:Class"``, which is imported when it is needed.

    Attributes:
        spec: The frozen dataclass whose fields are the keys of the configuration.
        module: The class or function that the specification describes, such as a `torch.nn.Module`; None if there is
            none.
    """

    spec: str | type[Any]
    module: str | type[Any] | None = None


class Registry(Generic[T]):
    """A table from names to specifications (T) and the classes they describe, neither of which imports the other.

    Args:
        kind: What the table holds, for error messages, such as ``"block"``.
        rows: The initial rows.
        base: The class that specifications extend; None leaves it unchecked.
    """

    def __init__(self, kind: str, rows: Mapping[str, Row] | None = None, *, base: type[T] | None = None) -> None:
        self.kind, self.base = kind, base
        self._rows = dict(rows or {})

    def register(self, name: str, *, module: str | type[Any] | None = None) -> Callable[[type[T]], type[T]]:
        """A class decorator that registers a specification under ``name``.

        Args:
            name: As in ``type: NAME``.
            module: The class it describes; None takes that of the nearest registered base class.

        Raises:
            UserError: If another class is registered under the name, or it does not extend the base class.
        """

        def add(cls: type[T]) -> type[T]:
            if self.base is not None and not issubclass(cls, self.base):
                raise UserError(
                    f"{self.kind} '{name}': '{_path(cls)}' is registered as one, but does not extend "
                    f"{self.base.__module__}.{self.base.__qualname__}."
                )
            existing = self._rows.get(name)
            if existing is not None and _path(existing.spec) != _path(cls):
                first, second = (_path(spec).partition(":")[0] for spec in (existing.spec, cls))
                raise UserError(f"{self.kind} '{name}' is defined twice: in {first} and in {second}. Rename one.")
            self._rows[name] = Row(cls, module)
            return cls

        return add

    def get(self, name: str) -> type[T]:
        """The specification registered under a name.

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
        """The class that a registered specification describes, by itself or by the nearest of its base classes.

        Raises:
            UserError: As `check_module`.
        """
        return load(self.check_module(cls))

    def check_module(self, cls: type[T]) -> str | type[Any]:
        """The same without importing it.

        Raises:
            UserError: If neither the specification nor a base class of it was registered with a module.
        """
        modules = {_path(row.spec): row.module for row in self._rows.values() if row.module is not None}
        module = next((modules[_path(base)] for base in cls.__mro__ if _path(base) in modules), None)
        if module is None:
            raise UserError(
                f"{self.kind} '{self.name_of(cls)}' does not say what it describes. "
                f'Expected where it is registered: module="package.module:Class"'
            )
        return module


def load(path: str | type[Any]) -> type[Any]:
    """Import the class that ``"module:Class"`` names; a class is returned unchanged.

    Raises:
        UserError: If there is no such module or class, as where a plugin names its own.
    """
    if not isinstance(path, str):
        return path
    module, _, name = path.partition(":")
    try:
        cls: type[Any] = getattr(importlib.import_module(module), name or "")
    except (ModuleNotFoundError, AttributeError) as error:
        if isinstance(error, ModuleNotFoundError) and error.name != module:
            raise
        raise UserError(
            f"'{path}' names no class: {error}. Expected \"package.module:Class\", such as "
            'module="my_package.my_file:MyHead".'
        ) from error
    return cls


def load_plugins(modules: Iterable[str]) -> None:
    """Import modules of the user's, which register what a configuration may then name.

    The working directory is appended to `sys.path`, if it is not there.

    Raises:
        UserError: If a module cannot be found or fails while it is imported.
    """
    for module in modules:
        if "/" in module or module.endswith(".py"):
            name = module.removeprefix("./").removesuffix(".py").replace("/", ".").lstrip(".")
            raise UserError(
                f"plugin '{module}' is a file, and plugins are named as Python modules. Type plugins=[{name}]"
            )
        if "" not in sys.path and os.getcwd() not in sys.path:
            sys.path.append(os.getcwd())
        try:
            importlib.import_module(module)
            _plugins.add(module)
        except ModuleNotFoundError as error:
            if error.name != module and not module.startswith(f"{error.name}."):
                raise UserError(
                    f"plugin '{module}' imports '{error.name}', and there is no such module. "
                    f"Try: pip install {str(error.name).partition('.')[0]}"
                ) from error
            similar = did_you_mean(module, (file.stem for file in Path.cwd().glob("*.py")))
            raise UserError(
                f"plugin '{module}' cannot be imported: no module named '{error.name}'.{similar} "
                "Expected a module that Python finds from here or among the installed packages, "
                "such as plugins=[my_package.my_blocks]."
            ) from error
        except UserError:
            raise
        except Exception as error:
            frames = [f for f in traceback.extract_tb(error.__traceback__) if "importlib" not in f.filename]
            place = f" ({frames[-1].filename}, line {frames[-1].lineno})" if len(frames) > 1 else ""
            raise UserError(
                f"plugin '{module}' fails while it is imported{place}: {type(error).__name__}: {error}"
            ) from error


def plugin_failure(error: BaseException) -> str | None:
    """The message for an error that was raised within a plugin, with file and line; None for any other error."""
    files = {getattr(sys.modules.get(name), "__file__", None) for name in _plugins | _own_modules} - {None}
    lines = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in files]
    if not lines:
        return None
    place = f"{lines[-1].filename}, line {lines[-1].lineno}"
    own = {getattr(sys.modules.get(name), "__file__", None) for name in _own_modules}
    kind = "an object" if lines[-1].filename in own else "a plugin"
    return f"{kind} of yours fails: {type(error).__name__}: {error} ({place})."


def note_own_code(objects: Iterable[Any]) -> None:
    """Take the modules of a person's objects for the person's own code; see `plugin_failure`."""
    for value in objects:
        name = getattr(value, "__module__", None)
        if isinstance(name, str) and name.partition(".")[0] not in _LIBRARIES:
            _own_modules.add(name)


def plugins_loaded() -> bool:
    """Whether `load_plugins` has imported a module in this process: registries may hold more than is shipped."""
    return bool(_plugins)


def _path(cls: str | type[Any]) -> str:
    return cls if isinstance(cls, str) else f"{cls.__module__}:{cls.__qualname__}"


def check_installed(*packages: str, needed_by: str, extra: str) -> None:
    """Check that optional packages are there, without importing them.

    Args:
        packages: The names that are imported.
        needed_by: What cannot do without them, for the message.
        extra: The extra of visionkit's that installs them.

    Raises:
        UserError: If one is missing.
    """
    missing = [name.replace("_", "-") for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        are = "is" if len(missing) == 1 else "are"
        raise UserError(
            f"{needed_by} needs {' and '.join(missing)}, which {are} not installed. "
            f'Try: pip install "visionkit[{extra}]"'
        )
