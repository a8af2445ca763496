"""The export of a run as an 8-bit ONNX file, kept only where it is as good as the run and faster than floats."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from visionkit.console import Printer
from visionkit.distributed.processes import Processes
from visionkit.errors import UserError
from visionkit.export.export_run import export_predictor
from visionkit.export.int8_parity import FLOAT, Int8Parity, MeasuredFile, choose, refusals
from visionkit.export.options import ExportOptions
from visionkit.export.placing import draft_folder, place_files
from visionkit.export.quantization import SCHEMES, quantize, simplify
from visionkit.export.timing import percentiles, take_turns
from visionkit.files import made_folder, write_atomic
from visionkit.models.onnx_model import METADATA_KEY, OnnxModel, open_session
from visionkit.text import count_of
from visionkit.training.evaluation import evaluate_run

if TYPE_CHECKING:
    from visionkit.inference.predictor import Predictor
    from visionkit.runs.config import RunConfig
    from visionkit.runs.folder import RunFolder

__all__ = ["Int8Result", "export_int8"]

_CALIBRATION_IMAGES = 200
_SECONDS = 1.5
"""For which each file is timed."""


@dataclass(frozen=True)
class Int8Result:
    """What was written: the folder's files, and what was measured."""

    files: tuple[Path, ...]
    parity: Int8Parity


def export_int8(
    predictor: Predictor,
    config: RunConfig,
    folder: RunFolder,
    datamodule: Any,
    target: Path,
    *,
    on_progress: Callable[[str], None] = lambda text: None,
) -> Int8Result:
    """Write a run's model as an 8-bit ONNX file, and measure it beside the run and its float file.

    Args:
        predictor: The run's, on the CPU in full precision.
        config: The run's, with a CPU as its hardware.
        folder: The run's folder.
        datamodule: The run's data, prepared.
        target: Where the files go; those of an earlier export are replaced when all is done.
        on_progress: Called with what is done next.

    Returns:
        The result; a file that is refused is named ``*.rejected``.

    Raises:
        UserError: As `export_predictor`, or if no layer can be quantised or no training image be read.
    """
    validation = datamodule.dataset("val")
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        exported = export_predictor(
            predictor, validation, work / "float", options=ExportOptions(), on_progress=_without_paths(on_progress)
        )
        source = exported.files[0]
        info = json.loads((work / "float" / "classes.json").read_text(encoding="utf-8"))
        if not exported.parity.passed:
            problems = (f"the float file differs from the run's model: {exported.parity.problems[0]}",)
            parity = Int8Parity(exported.parity, config.task.monitor, np.nan, (), None, 0, 0, 0, problems)
            return Int8Result(_hand_over(source, target, info, parity), parity)
        images = _inputs(predictor, datamodule.dataset("train"), OnnxModel(source).input_names)
        files, layers = _quantize(source, work, images, info, on_progress=on_progress)
        run_metric, measured = _measure(files, config, folder, images[0], on_progress=on_progress)
        chosen = choose(measured[1:], measured[0])
        parity = Int8Parity(
            exported.parity, config.task.monitor, run_metric, measured, chosen.scheme, layers, len(images),
            len(validation), tuple(refusals(chosen, measured[0])),
        )  # fmt: skip
        info |= _marks(chosen.scheme)
        return Int8Result(_hand_over(files[chosen.scheme], target, info, parity), parity)


def _inputs(predictor: Predictor, dataset: Any, names: Sequence[str]) -> list[dict[str, Any]]:
    """Training images as they are prepared in evaluation, each as a batch of its own, as a file takes them.

    Args:
        predictor: The run's.
        dataset: The training split, before augmentation.
        names: Of the inputs of the file.

    Raises:
        UserError: If none of them can be read.
    """
    inference = predictor.inference
    found = []
    for _, loaded in inference.images(dataset, _CALIBRATION_IMAGES):
        batch, sizes = inference.transform.pad_batch([loaded.pixels])
        inputs = {"images": batch, "image_sizes": sizes}
        found.append({name: value.numpy() for name, value in inputs.items() if name in names})
    if not found:
        raise UserError("int8=true: no image of the training split can be read, and 8 bits are calibrated on some")
    return found


def _quantize(
    source: Path,
    work: Path,
    images: Sequence[Mapping[str, Any]],
    info: Mapping[str, Any],
    *,
    on_progress: Callable[[str], None],
) -> tuple[dict[str, Path], int]:
    """The float file and one of each scheme, and the number of layers of 8 bits."""
    files, layers = {FLOAT: source}, 0
    simplify(source, work / "simplified.onnx")
    for scheme in SCHEMES:
        on_progress(f"quantising {scheme.replace('_', ' ')}, calibrated on {count_of(len(images), 'training image')}")
        files[scheme] = work / f"{scheme}.onnx"
        metadata = {METADATA_KEY: json.dumps({**info, **_marks(scheme)})}
        layers = quantize(work / "simplified.onnx", files[scheme], images, scheme=scheme, metadata=metadata)
        if layers == 0:
            raise UserError(
                "int8=true: this network has no layer that can have 8 bits: convolutions and linear layers other than "
                "the last ones. Leave int8=true away"
            )
    return files, layers


def _marks(scheme: str) -> dict[str, Any]:
    """What ``classes.json`` says of an 8-bit file more than of a float one."""
    return {"int8": True, "quantization": scheme}


def _measure(
    files: Mapping[str, Path],
    config: RunConfig,
    folder: RunFolder,
    image: Mapping[str, Any],
    *,
    on_progress: Callable[[str], None],
) -> tuple[float, tuple[MeasuredFile, ...]]:
    """The metric of the run, and metric, speed and size of each file."""
    config = replace(config, debug=replace(config.debug, limit_batches=None))
    processes, silent = Processes.plan(config.hardware), Printer.silent()
    metrics = []
    for scheme, file in (("the run", None), *files.items()):
        on_progress(f"evaluating {scheme.replace('_', ' ')} on the validation split")
        evaluation = evaluate_run(config, folder, processes, split="val", onnx_file=file, printer=silent)
        metrics.append(float(evaluation.scalars[config.task.monitor]))
    on_progress("timing")
    calls = {name: partial(open_session(path).run, None, image) for name, path in files.items()}
    milliseconds = {
        name: 1000 * percentiles(seconds).p50 for name, seconds in take_turns(calls, seconds=_SECONDS).items()
    }
    run_metric, *of_files = metrics
    measured = (
        MeasuredFile(
            scheme, metric, 100 * (run_metric - metric), milliseconds[scheme], files[scheme].stat().st_size
        )
        for scheme, metric in zip(files, of_files, strict=True)
    )  # fmt: skip
    return run_metric, tuple(measured)


def _hand_over(model: Path, target: Path, info: Mapping[str, Any], parity: Int8Parity) -> tuple[Path, ...]:
    """Put a file of a temporary folder into its own one, in the place of that of an earlier export."""
    with made_folder(target), draft_folder(target) as drafts:
        draft = drafts / "model.onnx"
        write_atomic(draft, model.read_bytes())
        return place_files(draft, target / "model.onnx", info, parity)


def _without_paths(on_progress: Callable[[str], None]) -> Callable[[str], None]:
    """Progress of the float file, whose folder is a temporary one."""
    return lambda text: on_progress("writing the float file" if text.startswith("writing ") else text)
