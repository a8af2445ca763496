"""The check of a data set: its readers, its files, and all that is looked for."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from visionkit.check.checkers import CHECKERS
from visionkit.check.data_set import DataSet, read_data_set
from visionkit.check.file_scan import scan_files
from visionkit.check.file_table import list_files
from visionkit.check.options import CheckOptions
from visionkit.check.parallel import look_at
from visionkit.check.progress import CheckProgress
from visionkit.check.report import CheckReport, by_severity
from visionkit.check.summary import summarize

if TYPE_CHECKING:
    from visionkit.console import Printer
    from visionkit.runs.config import RunConfig

__all__ = ["run_check"]


def run_check(config: RunConfig, options: CheckOptions, *, printer: Printer) -> CheckReport:
    """Check the data set of a training. Nothing is written to it.

    Args:
        config: Of the training; its data need not be there.
        options: How thoroughly.
        printer: Shows the progress.
    """
    began = time.perf_counter()
    with CheckProgress(printer) as progress:
        progress.begin("reading annotations")
        data = read_data_set(config.source, target=config.task.target, seed=config.seed)
        progress.begin("listing files")
        data = list_files(data, advance=progress.advance)
        progress.begin("reading headers", total=len(data.files))
        data = _with_records(data, progress)
        progress.begin("comparing")
        findings = [*data.findings, *(finding for check in CHECKERS for finding in check(data))]
    root = data.root
    return CheckReport(
        config.source.name, None if root is None else str(Path(root)), config.source.keys, summarize(data),
        by_severity(findings), data.notes, options.deep, time.perf_counter() - began,
    )  # fmt: skip


def _with_records(data: DataSet, progress: CheckProgress) -> DataSet:
    records = look_at(data.files.paths(), scan_files, advance=progress.advance)
    return replace(data, files=replace(data.files, records=records))
