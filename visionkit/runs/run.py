"""A trained run as one object: its folder, numbers, tables and pictures."""

from __future__ import annotations

import base64
import csv
import html
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from visionkit.errors import UserError, did_you_mean
from visionkit.metric_names import metric_title
from visionkit.runs.opening import run_folder
from visionkit.runs.results import read_rows
from visionkit.text import printable, unquote_cell

__all__ = ["Run"]

Value = TypeVar("Value")

_CURVES, _PNG = "curves", b"\x89PNG\r\n"
_NAME_COLUMNS = ("class", "true \\ predicted")
"""Columns of text, though a class may be called 7."""


class Run:
    """A run folder; its files are read when they are asked for.

    Args:
        path: The folder, or ``latest`` for the run below ``runs/`` that was begun last.

    Raises:
        UserError: If there is no such run.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._folder = run_folder(path, verb="Run")

    @property
    def path(self) -> Path:
        """The folder."""
        return self._folder.path

    @property
    def is_finished(self) -> bool:
        """Whether the run has been trained and tested."""
        return self._folder.is_finished

    @property
    def config(self) -> dict[str, Any]:
        """The resolved configuration, plain values alone.

        Raises:
            UserError: If ``config.yaml`` is damaged.
        """
        return self._folder.read_config()

    @property
    def metrics(self) -> dict[str, float]:
        """The final numbers by name, such as ``test/accuracy``: the content of ``metrics.json``.

        Raises:
            UserError: If the run is not finished, or the file is damaged.
        """
        if not self.is_finished:
            raise UserError(
                f"the run '{self.path}' has not been trained to its end, and has no metrics yet; history has those of "
                f"its epochs. Go on: visionkit.train(run={str(self.path)!r}, resume=True)"
            )
        again = f"Train it again: visionkit.train(run={str(self.path)!r})"
        return _Named("metric", self._folder.read_metrics(advice=again))

    @property
    def history(self) -> list[dict[str, float]]:
        """The numbers of each epoch, from ``epoch`` 1 on; an epoch without a number lacks its name.

        Raises:
            UserError: If ``metrics.csv`` is damaged.
        """
        return self._folder.read_history()

    @property
    def tables(self) -> list[str]:
        """Names for `table`, such as ``per_class``."""
        return sorted(file.stem for file in self.path.glob("*.csv") if file != self._folder.history_file)

    def table(self, name: str) -> list[dict[str, str | int | float | None]]:
        """The rows of one table of the test.

        Args:
            name: One of `tables`.

        Raises:
            UserError: If there is no such table, or it is damaged.
        """
        file = self.path / f"{name}.csv"
        if name not in self.tables:
            known = ", ".join(self.tables) or "none yet"
            raise UserError(
                f"the run '{self.path}' has no table '{name}'.{did_you_mean(name, self.tables)} It has: {known}"
            )
        try:
            rows = read_rows(file)
            columns = [unquote_cell(name) for name in rows[0]]
            if not columns or len(set(columns)) < len(columns) or len(rows) < 2:
                raise ValueError("it has no rows under a header of distinct names")
            return [{c: _cell(c, text) for c, text in zip(columns, row, strict=True)} for row in rows[1:]]
        except (OSError, ValueError, IndexError, csv.Error) as error:
            raise UserError(f"'{file}' is damaged: {error}. Expected the table as visionkit wrote it.") from None

    @property
    def plots(self) -> dict[str, Path]:
        """The pictures by name, such as ``curves``."""
        files = sorted(self._folder.plots.glob("*.png"))
        return _Named("picture", {file.stem: file for file in files if file.is_file()})

    def __fspath__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    def _repr_html_(self) -> str:
        """The metrics and the curves, for notebooks."""
        title = f"<p><b>{html.escape(printable(str(self.path)))}</b>{'' if self.is_finished else ' (not finished)'}</p>"
        try:
            metrics = self.metrics if self.is_finished else {}
        except UserError as error:
            return f"{title}<p>{html.escape(printable(str(error)))}</p>"
        rows = "".join(
            f"<tr><td style='text-align:left'>{html.escape(printable(metric_title(name)))}</td>"
            f"<td>{_shown(value)}</td></tr>"
            for name, value in metrics.items()
        )
        table = f"<table>{rows}</table>" if rows else ""
        picture = self.plots.get(_CURVES)
        content = b"" if picture is None or picture.is_symlink() else picture.read_bytes()
        data = base64.b64encode(content).decode() if content.startswith(_PNG) else ""
        curves = f"<img alt='curves of the run' src='data:image/png;base64,{data}'>" if data else ""
        return title + table + curves


class _Named(dict[str, Value]):
    """A dict that names its keys if one is missing."""

    def __init__(self, kind: str, values: Mapping[str, Value]) -> None:
        super().__init__(values)
        self._kind = kind

    def __missing__(self, key: object) -> Value:
        suggestion = did_you_mean(str(key), self)
        raise UserError(f"the run has no {self._kind} {key!r}.{suggestion} It has: {', '.join(self) or 'none'}")

    def __reduce__(self) -> Any:
        return _Named, (self._kind, dict(self))


def _cell(column: str, text: str) -> str | int | float | None:
    """A cell as it was before it was written; None for an empty one."""
    if column in _NAME_COLUMNS:
        return unquote_cell(text)
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return unquote_cell(text) or None


def _shown(value: float) -> str:
    return f"{value:.4f}" if isinstance(value, float) else f"{value:,}"
