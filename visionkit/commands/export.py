"""The verb ``export``: a run's model as a file for other programs, proved equal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visionkit.console import Printer, loading, print_json
from visionkit.errors import ExitCode, UserError
from visionkit.export.options import ExportOptions
from visionkit.files import check_writable, expand_user
from visionkit.runs.config import RunConfig
from visionkit.runs.exports import exports_folder
from visionkit.runs.folder import RunFolder
from visionkit.schema import describe

if TYPE_CHECKING:
    from visionkit.export.export_run import ExportResult
    from visionkit.export.int8 import Int8Result
    from visionkit.inference.predictor import Predictor

__all__ = ["export"]

_NAMES = ("model.onnx", "model.pt2", "model.safetensors", "classes.json", "run_onnx.py", "config.yaml", "data.json")


def export(plain: Mapping[str, Any], folder: RunFolder, *, options: Mapping[str, Any]) -> int:
    """Write the best epoch of a run as a file, compare it with the run's model, and print what was found.

    Args:
        plain: The configuration of the run.
        folder: The folder of the run.
        options: Those of `visionkit.export.options.ExportOptions`, ``out`` and ``format``, where they were typed.

    Returns:
        0; 1 if the file differs from the model or is of no use, and is named ``*.rejected`` for it.

    Raises:
        UserError: If an option is wrong, or the model or the data of the run are not there.
    """
    parsed = ExportOptions.read(options)
    form = options.get("format", "text")
    if form not in ("text", "json"):
        raise UserError(
            f"format: expected text or json, found {describe(form)}. The form of the file is to=onnx or to=torch_export"
        )
    target = expand_user(options.get("out") or exports_folder(folder, parsed.folder_name))
    _check_out(target)
    config = RunConfig.from_plain(plain)
    with loading():
        from visionkit.export.export_run import export_predictor
        from visionkit.export.files import check_format_installed
        from visionkit.export.parity import parity_lines
        from visionkit.export.quantization import check_int8_supported
        from visionkit.inference.load import load_predictor
        from visionkit.runs.checkpoint import open_data

    check_format_installed(parsed.to)
    if parsed.int8:
        check_int8_supported()
    printer = Printer(to_stderr=form == "json")
    hardware = config.hardware.on_cpu()
    predictor = load_predictor(config, folder, hardware=hardware)
    datamodule = open_data(config, folder)
    result: ExportResult | Int8Result
    if parsed.int8:
        result = _export_int8(predictor, replace(config, hardware=hardware), folder, datamodule, target, printer)
    else:
        validation = datamodule.dataset("val")
        result = export_predictor(predictor, validation, target, options=parsed, on_progress=printer.print)
        printer.print(*parity_lines(result.parity))
    file, *others = result.files
    word = ("as good" if parsed.int8 else "equal") if result.parity.passed else "REJECTED"
    printer.print(f"{word}: {file}, with {', '.join(one.name for one in others)}")
    if form == "json":
        print_json({"files": [str(file) for file in result.files], "parity": result.parity.document()})
    return ExitCode.DONE if result.parity.passed else ExitCode.INTERNAL_ERROR


def _check_out(folder: Path) -> None:
    """Check that files can be written into a folder, and that none is replaced but those of an export.

    Raises:
        UserError: If they cannot, or one would be.
    """
    if folder.suffix in (".onnx", ".pt2", ".safetensors"):
        raise UserError(
            f"out: found '{folder}', which looks like a file. Expected the folder of the files. Try: out={folder.stem}"
        )
    own = {folder / name for name in _NAMES}
    foreign = sorted(file.name for file in own if file.exists()) if not (folder / "parity.json").exists() else []
    if foreign:
        raise UserError(
            f"out: '{folder}' has a {foreign[0]} that is of no export, and it would be replaced. Expected a new "
            f"folder, or one of an earlier export. Try: out={folder / 'export'}"
        )
    check_writable(folder, where="out")


def _export_int8(
    predictor: Predictor, config: RunConfig, folder: RunFolder, datamodule: Any, target: Path, printer: Printer
) -> Int8Result:
    from visionkit.export.int8 import export_int8
    from visionkit.export.int8_parity import int8_lines

    result = export_int8(predictor, config, folder, datamodule, target, on_progress=printer.print)
    printer.print(*int8_lines(result.parity))
    return result
