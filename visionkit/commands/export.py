"""The verb ``export``: a run's model as a file for other programs, proved equal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from visionkit.console import Printer, loading, print_json
from visionkit.errors import ExitCode, UserError, did_you_mean
from visionkit.files import check_writable
from visionkit.runs.config import RunConfig
from visionkit.runs.folder import RunFolder

__all__ = ["export"]

_FORMATS = ("onnx", "torch_export")


def export(plain: Mapping[str, Any], folder: RunFolder, *, options: Mapping[str, Any]) -> int:
    """Write the best epoch of a run as a file, compare it with the run's model, and print what was found.

    Args:
        plain: The configuration of the run.
        folder: The folder of the run.
        options: ``to``, ``decode`` and ``out``, where they were typed.

    Returns:
        0; 1 if the file differs from the model, and is named ``*.rejected`` for it.

    Raises:
        UserError: If an option is wrong, or the model or the data of the run are not there.
    """
    to, decode = options.get("to", "onnx"), options.get("decode", True)
    if to not in _FORMATS:
        raise UserError(f"to: found '{to}'.{did_you_mean(str(to), _FORMATS)} Expected one of: {', '.join(_FORMATS)}.")
    if not isinstance(decode, bool):
        raise UserError(f"decode: expected true or false, found {decode!r}. Try: decode=true")
    target = Path(options.get("out") or folder.path / "exports" / to).expanduser()
    check_writable(target, where="out")
    config = RunConfig.from_plain(plain)
    with loading():
        from visionkit.export.export_run import export_predictor
        from visionkit.inference.load import load_predictor
        from visionkit.runs.checkpoint import check_data, check_splits

    printer = Printer(to_stderr=plain.get("format") == "json")
    hardware = replace(config.hardware, accelerator="cpu", precision="32", devices=1)
    predictor = load_predictor(config, folder, hardware=hardware)
    datamodule = config.datamodule(folder.splits_file if folder.splits_file.exists() else None)
    datamodule.prepare_data()
    check_data(folder, datamodule.info)
    check_splits(folder, datamodule)
    result = export_predictor(
        predictor, datamodule.dataset("val"), target, to=to, decode=decode, on_progress=printer.print
    )
    parity = result.parity
    for name, value in parity.largest_difference.items():
        printer.print(f"{name:12} differs by at most {value:.2g} of its largest value")
    counts = [f"{parity.images} images of the validation split", f"{parity.noise} of noise, alone and by threes"]
    found = f"; {parity.detections:,} objects found by both" if parity.detections else ""
    printer.print(f"compared on {' and '.join(counts)}{found}")
    if parity.borderline:
        printer.print(f"{parity.borderline} differ where the model itself has no clear choice")
    if parity.not_converged:
        printer.print(f"{parity.not_converged} images had too many overlapping boxes for an exact suppression")
    printer.print(*(f"differs: {problem}" for problem in parity.problems))
    printer.print(f"{'equal' if parity.passed else 'REJECTED'}: {', '.join(map(str, result.files))}")
    if plain.get("format") == "json":
        print_json({"files": [str(file) for file in result.files], "parity": parity.document()})
    return ExitCode.DONE if parity.passed else ExitCode.INTERNAL_ERROR
