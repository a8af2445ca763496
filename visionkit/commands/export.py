"""The verb ``export``: a run's model as a file for other programs, proved equal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visionkit.console import Printer, loading, print_json
from visionkit.errors import ExitCode, UserError, did_you_mean
from visionkit.files import check_writable, expand_user
from visionkit.runs.config import RunConfig
from visionkit.runs.folder import RunFolder
from visionkit.schema import describe

if TYPE_CHECKING:
    from visionkit.export.export_run import ExportResult
    from visionkit.export.int8 import Int8Result
    from visionkit.export.parity import Parity
    from visionkit.inference.predictor import Predictor

__all__ = ["export"]

_FORMATS = ("onnx", "torch_export")


def export(plain: Mapping[str, Any], folder: RunFolder, *, options: Mapping[str, Any]) -> int:
    """Write the best epoch of a run as a file, compare it with the run's model, and print what was found.

    Args:
        plain: The configuration of the run.
        folder: The folder of the run.
        options: ``to``, ``decode``, ``int8``, ``out`` and ``format``, where they were typed.

    Returns:
        0; 1 if the file differs from the model or is of no use, and is named ``*.rejected`` for it.

    Raises:
        UserError: If an option is wrong, or the model or the data of the run are not there.
    """
    to, decode = options.get("to", "onnx"), options.get("decode", True)
    if to not in _FORMATS:
        hint = " Type: to=onnx int8=true" if "int8" in str(to) else did_you_mean(str(to), _FORMATS)
        raise UserError(f"to: found {describe(to)}.{hint} Expected one of: {', '.join(_FORMATS)}.")
    if not isinstance(decode, bool):
        raise UserError(f"decode: expected true or false, found {describe(decode)}. Try: decode=true")
    form = options.get("format", "text")
    if form not in ("text", "json"):
        raise UserError(
            f"format: expected text or json, found {describe(form)}. The form of the file is to=onnx or to=torch_export"
        )
    int8 = _wants_int8(options, to=str(to), decode=decode)
    target = expand_user(options.get("out") or folder.path / "exports" / (f"{to}-int8" if int8 else to))
    check_writable(target, where="out")
    config = RunConfig.from_plain(plain)
    with loading():
        from visionkit.export.export_run import export_predictor
        from visionkit.export.files import check_installed
        from visionkit.export.quantization import check_int8_supported
        from visionkit.inference.load import load_predictor
        from visionkit.runs.checkpoint import check_data, check_splits

    check_installed(to)
    if int8:
        check_int8_supported()
    printer = Printer(to_stderr=form == "json")
    hardware = replace(config.hardware, accelerator="cpu", precision="32", devices=1)
    predictor = load_predictor(config, folder, hardware=hardware)
    datamodule = config.datamodule(folder.splits_file if folder.splits_file.exists() else None)
    datamodule.prepare_data()
    check_data(folder, datamodule.info)
    check_splits(folder, datamodule)
    result: ExportResult | Int8Result
    if int8:
        result = _export_int8(predictor, replace(config, hardware=hardware), folder, datamodule, target, printer)
    else:
        result = export_predictor(
            predictor, datamodule.dataset("val"), target, to=to, decode=decode, on_progress=printer.print
        )
        _print_parity(result.parity, printer)
    file, *others = result.files
    word = ("as good" if int8 else "equal") if result.parity.passed else "REJECTED"
    printer.print(f"{word}: {file}, with {', '.join(one.name for one in others)}")
    if form == "json":
        print_json({"files": [str(file) for file in result.files], "parity": result.parity.document()})
    return ExitCode.DONE if result.parity.passed else ExitCode.INTERNAL_ERROR


def _wants_int8(options: Mapping[str, Any], *, to: str, decode: bool) -> bool:
    """Whether a file of 8 bits is asked for, which other options must allow."""
    int8 = options.get("int8", False)
    if not isinstance(int8, bool):
        raise UserError(f"int8: expected true or false, found {describe(int8)}. Try: int8=true")
    if int8 and to != "onnx":
        raise UserError(
            f"int8=true makes a file of onnxruntime, found to={to}. Expected to=onnx. Try: to=onnx int8=true"
        )
    if int8 and not decode:
        raise UserError(
            "int8=true is judged by the task's metric, which needs predictions, found decode=false. Leave decode=false "
            "away: the raw outputs are in the file too"
        )
    return int8


def _export_int8(
    predictor: Predictor, config: RunConfig, folder: RunFolder, datamodule: Any, target: Path, printer: Printer
) -> Int8Result:
    from visionkit.export.int8 import export_int8
    from visionkit.export.int8_parity import int8_lines

    result = export_int8(predictor, config, folder, datamodule, target, on_progress=printer.print)
    printer.print(*int8_lines(result.parity))
    return result


def _print_parity(parity: Parity, printer: Printer) -> None:
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
