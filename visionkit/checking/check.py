"""The check of a data set: its readers, its files, and all that is looked for."""

from __future__ import annotations

import functools
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from visionkit.checking.checkers import CHECKERS
from visionkit.checking.data_set import DataSet, read_data_set
from visionkit.checking.exclusion_list import EXCLUDED, check_place, write_exclusions
from visionkit.checking.file_record import RECORD
from visionkit.checking.file_scan import scan_files
from visionkit.checking.file_table import list_files
from visionkit.checking.levels import levels_of
from visionkit.checking.options import CheckOptions
from visionkit.checking.pixel_record import PIXELS
from visionkit.checking.pixel_scan import scan_pixels
from visionkit.checking.progress import CheckProgress
from visionkit.checking.record_cache import RecordCache
from visionkit.checking.report import CheckReport, by_severity
from visionkit.checking.sheets import PICTURES, draw_sheets
from visionkit.checking.summary import summarize
from visionkit.checking.suspects import check_can_suspect, find_suspects, suspect_findings
from visionkit.data.images import MAX_PIXELS
from visionkit.data.sources.file_source import FileSource

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
    root = config.source.root if isinstance(config.source, FileSource) else None
    names = [*([EXCLUDED] if options.fix else []), *(PICTURES if options.plot else [])]
    folder = check_place(options.out, None if root is None else Path(root).expanduser(), names) if names else Path()
    if options.labels:
        check_can_suspect(config)
    with CheckProgress(printer) as progress:
        progress.begin("reading annotations")
        data = _with_network(read_data_set(config.source, target=config.task.target, seed=config.seed), config)
        progress.begin("listing files")
        data = list_files(data, advance=progress.advance)
        progress.begin("reading headers", total=len(data.files))
        cache = RecordCache(options.cache, data.root)
        data = _with_records(data, cache, progress)
        if options.deep:
            progress.begin("reading pixels", total=len(data.files))
            data = _with_pixels(data, cache, progress)
        progress.begin("comparing")
        findings = [*data.findings, *(finding for check in CHECKERS for finding in check(data))]
    suspects = find_suspects(config, data, printer=printer) if options.labels and data.splits else ()
    ordered = by_severity([*findings, *suspect_findings(suspects)])
    written = {str(folder / EXCLUDED): write_exclusions(data, folder / EXCLUDED)} if options.fix else {}
    pictures = draw_sheets(data, ordered, config, folder) if options.plot else []
    return CheckReport(
        config.source.name, root, config.source.keys, summarize(data), ordered, data.notes, written,
        tuple(map(str, pictures)), suspects, options.deep, time.perf_counter() - began,
    )  # fmt: skip


def _with_records(data: DataSet, cache: RecordCache, progress: CheckProgress) -> DataSet:
    names = data.files.names.tolist()
    records = cache.look("headers", names, scan_files, dtype=RECORD, advance=progress.advance)
    return replace(data, files=replace(data.files, records=records))


def _with_pixels(data: DataSet, cache: RecordCache, progress: CheckProgress) -> DataSet:
    """The data set with what its pixels show; files that cannot be read have none."""
    max_pixels = data.source.max_pixels if isinstance(data.source, FileSource) else MAX_PIXELS
    look = functools.partial(scan_pixels, max_pixels=max_pixels)
    names = data.files.names.tolist()
    return replace(data, pixels=cache.look("pixels", names, look, dtype=PIXELS, advance=progress.advance))


def _with_network(data: DataSet, config: RunConfig) -> DataSet:
    """The data set beside the network that it is for: its strides, its levels, and how many objects it predicts."""
    backbone, head = config.backbone, config.head
    stride = max(info.stride for info in backbone.feature_info.values())
    max_detections = getattr(head, "max_detections", None)
    return replace(data, stride=stride, levels=levels_of(head, backbone), max_detections=max_detections)
