"""The import graph of a package, read from its source: lazy and type-checking imports count, faces are seen through."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

Graph = Mapping[str, set[str]]


def import_graph(package: Path) -> dict[str, set[str]]:
    """Modules to the modules that they import anywhere in their file; an ``__init__`` hands names on and is no node."""
    trees = {_module(file, package): ast.parse(file.read_text(encoding="utf-8")) for file in package.rglob("*.py")}
    faces = {module: _face(tree) for module, tree in trees.items() if (package.parent / _folder(module)).is_dir()}
    graph: dict[str, set[str]] = {module: set() for module in trees if module not in faces}
    for module in graph:
        for target, name in _imports(trees[module]):
            graph[module] |= {found for found in [_home(target, name, trees, faces)] if found in graph} - {module}
    return graph


def circles(graph: Graph) -> list[list[str]]:
    """The groups of modules that import each other, by Tarjan's algorithm (1972)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(module: str) -> None:
        index[module] = low[module] = len(index)
        stack.append(module)
        for other in graph[module]:
            if other not in index:
                visit(other)
                low[module] = min(low[module], low[other])
            elif other in stack:
                low[module] = min(low[module], index[other])
        if low[module] == index[module]:
            group = stack[stack.index(module) :]
            del stack[stack.index(module) :]
            if len(group) > 1:
                found.append(sorted(group))

    for module in graph:
        if module not in index:
            visit(module)
    return found


def _module(file: Path, package: Path) -> str:
    parts = [package.name, *file.relative_to(package).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _folder(module: str) -> Path:
    return Path(*module.split("."))


def _imports(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Module and name of each import of a name; the name is empty where a module itself is imported."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield from ((node.module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)


def _face(tree: ast.Module) -> dict[str, str]:
    """Names that an ``__init__`` hands on, to the modules it takes them from: by imports, or a table of strings."""
    names = {name: target for target, name in _imports(tree) if name}
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and isinstance(value, ast.Constant) and isinstance(value.value, str):
                    names[str(key.value)] = value.value.partition(":")[0]
    return names


def _home(target: str, name: str, trees: Mapping[str, ast.Module], faces: Mapping[str, Mapping[str, str]]) -> str:
    """The module in which an imported name is defined."""
    if name and f"{target}.{name}" in trees:
        return _home(f"{target}.{name}", "", trees, faces)
    seen = set()
    while target in faces and name in faces[target] and target not in seen:
        seen.add(target)
        target = faces[target][name]
    return target
