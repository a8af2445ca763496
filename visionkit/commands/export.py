"""The verb ``export``: a run's model as a file for other programs, proved equal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from visionkit.console import Printer, loading, print_json
from visionkit.errors import ExitCode, UserError
from visionkit.export.options import ExportOptions
from visionkit.files import check_writable, expand_user
from visionkit.runs.config import RunConfig
from visionkit.runs.folder import RunFolder
from visionkit.schema import describe

if TYPE_CHECKING:
    from visionkit.export.export_run import ExportResult

__all__ = ["export"]


def export(plain: Mapping[str, Any], folder: RunFolder, *, options: Mapping[str, Any]) -> int:
    """Write the best epoch of a run as a file, compare it with the run's model, and print what was found.

    Args:
        plain: The configuration of the run.
        folder: The folder of the run.
        options: Those of `visionkit.export.options.ExportOptions`, ``out`` and ``format``, where they were typed.

    Returns:
        0; 1 if the file differs from the model, and is named ``*.rejected`` for it.

    Raises:
        UserError: If an option is wrong, or the model or the data of the run are not there.
    """
    export_options = ExportOptions.read(options)
    to = export_options.to
    form = options.get("format", "text")
    if form not in ("text", "json"):
        raise UserError(
            f"format: expected text or json, found {describe(form)}. The form of the file is to=onnx or to=torch_export"
        )
    target = expand_user(options.get("out") or folder.path / "exports" / to)
    check_writable(target, where="out")
    config = RunConfig.from_plain(plain)
    with loading():
        from visionkit.export.export_run import export_predictor
        from visionkit.export.files import check_installed
        from visionkit.inference.load import load_predictor
        from visionkit.runs.checkpoint import check_data, check_splits

    check_installed(to)
    printer = Printer(to_stderr=form == "json")
    hardware = replace(config.hardware, accelerator="cpu", precision="32", devices=1)
    predictor = load_predictor(config, folder, hardware=hardware)
    datamodule = config.datamodule(folder.splits_file if folder.splits_file.exists() else None)
    datamodule.prepare_data()
    check_data(folder, datamodule.info)
    check_splits(folder, datamodule)
    result = export_predictor(
        predictor, datamodule.dataset("val"), target, options=export_options, on_progress=printer.print
    )
    _print_result(result, printer)
    if form == "json":
        print_json({"files": [str(file) for file in result.files], "parity": result.parity.document()})
    return ExitCode.DONE if result.parity.passed else ExitCode.INTERNAL_ERROR


def _print_result(result: ExportResult, printer: Printer) -> None:
    parity = result.parity
    for name, value in parity.largest_difference.items():
        printer.print(f"{name:12} differs by at most {value:.2g} of its largest value")
    counts = [f"{parity.images} images of the validation split", f"{parity.noise} of noise, alone and by threes"]
    found = f"; {parity.detections:,} objects found by both" if parity.detections else ""
    printer.print(f"compared on {' and '.join(counts)}{found}")
    if parity.sizes:
        sizes = ", ".join(f"{height}x{width}" for height, width in parity.sizes)
        multiple = f"; sides must be multiples of {parity.size_multiple}" if parity.size_multiple > 1 else ""
        printer.print(f"also at {sizes} pixels{multiple}")
    if parity.borderline:
        printer.print(f"{parity.borderline} differ where the model itself has no clear choice")
    if parity.not_converged:
        printer.print(f"{parity.not_converged} images had too many overlapping boxes for an exact suppression")
    printer.print(*(f"differs: {problem}" for problem in parity.problems))
    file, *others = result.files
    printer.print(f"{'equal' if parity.passed else 'REJECTED'}: {file}, with {', '.join(one.name for one in others)}")
