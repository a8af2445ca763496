"""Names that a configuration may use, and the classes behind them."""

import importlib
import os
import sys
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from visionkit.errors import UserError, did_you_mean

__all__ = ["Registry", "load_plugins"]

T = TypeVar("T")


class Registry(Generic[T]):
    """A table from names to classes, filled by a decorator.

    Args:
        kind: What the table holds, in the words of an error message, such as ``"block"``.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._classes: dict[str, type[T]] = {}

    def register(self, name: str) -> Callable[[type[T]], type[T]]:
        """Decorate a class so that configurations reach it as ``name``.

        Raises:
            UserError: If another class already holds the name.
        """

        def add(cls: type[T]) -> type[T]:
            known = self._classes.get(name)
            if known is not None and (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
                raise UserError(
                    f"{self.kind} '{name}' is defined twice: in {known.__module__} and in {cls.__module__}. Rename one."
                )
            self._classes[name] = cls
            return cls

        return add

    def get(self, name: str) -> type[T]:
        """The class behind a name.

        Raises:
            UserError: If there is none; the message lists the names and the nearest one.
        """
        if name not in self._classes:
            raise UserError(
                f"no {self.kind} is called '{name}'.{did_you_mean(name, self._classes)} "
                f"Known: {', '.join(self.names())}. One of your own is named with plugins=[your_module]."
            )
        return self._classes[name]

    def names(self) -> list[str]:
        """All names, sorted."""
        return sorted(self._classes)

    def name_of(self, cls: type[T]) -> str:
        """The name under which a class is registered."""
        return next(name for name, known in self._classes.items() if known is cls)


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
