"""A finished sweep as one object: its runs, and the best of them."""

from __future__ import annotations

from pathlib import Path

from visionkit.errors import UserError
from visionkit.runs.run import Run
from visionkit.sweeps.folder import SweepFolder
from visionkit.sweeps.groups import best_run
from visionkit.sweeps.job import RunRow

__all__ = ["Sweep"]


class Sweep:
    """The folder of a sweep or search.

    Args:
        folder: The folder, after its runs.
    """

    def __init__(self, folder: SweepFolder) -> None:
        self._folder = folder

    @property
    def path(self) -> Path:
        """The folder."""
        return self._folder.path

    @property
    def rows(self) -> list[RunRow]:
        """Status, values and numbers of each run, in their order; those that failed too."""
        return [self._folder.rows[number] for number in sorted(self._folder.rows)]

    @property
    def runs(self) -> list[Run]:
        """The runs that are done, in their order."""
        return [Run(self._folder.run_dir(row.number)) for row in self.rows if row.status == "done"]

    @property
    def best(self) -> Run:
        """The run with the best validation metric, of the best values where several seeds were tried.

        Raises:
            UserError: If no run is done.
        """
        row = None if self._folder.info is None else best_run(self.rows, self._folder.info)
        if row is None:
            reasons = {row.reason for row in self.rows if row.reason}
            raise UserError(f"no run of the sweep '{self.path}' is done. {' '.join(sorted(reasons))}".rstrip())
        return Run(self._folder.run_dir(row.number))

    def __repr__(self) -> str:
        return f"Sweep({str(self.path)!r}, {len(self.runs)} of {len(self.rows)} runs done)"
