"""The export of a run: the file, the proof that it is equal, and what a person needs to use it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from visionkit.errors import UserError
from visionkit.export.comparison import check_parity, compare_predictions
from visionkit.export.description import describe_export
from visionkit.export.files import GRAPH_FORMATS, Runner
from visionkit.export.graph import SUPPRESSIONS, ExportGraph
from visionkit.export.images import (
    at_size,
    batches,
    example_inputs,
    noise,
    other_sizes,
    read_images,
    with_progress,
)
from visionkit.export.options import ExportOptions
from visionkit.export.parity import Parity
from visionkit.export.placing import draft_folder, place_files
from visionkit.export.weights import run_weights, write_weights
from visionkit.files import made_folder
from visionkit.models.onnx_model import METADATA_KEY
from visionkit.runs.folder import RunFolder

if TYPE_CHECKING:
    from visionkit.inference.predictor import Predictor

__all__ = ["ExportResult", "export_predictor"]

MAX_IMAGES = 200
OnProgress = Callable[[str], None]
_NUM_NOISE, _NUM_OF_OTHER_SIZE, _CHOICE_BATCH = 4, 6, 4
_MULTIPLES = (1, 32, 128)
"""What the sides of images may have to be multiples of, for a file of any size: strides of usual networks."""
_FILE_NAMES = {**{to: form.file_name for to, form in GRAPH_FORMATS.items()}, "safetensors": "model.safetensors"}


@dataclass(frozen=True)
class ExportResult:
    """What was written.

    Attributes:
        folder: The folder of the files.
        files: Those that were written.
        parity: What the comparison has found.
    """

    folder: Path
    files: tuple[Path, ...]
    parity: Parity


def export_predictor(
    predictor: Predictor,
    dataset: Any,
    folder: Path,
    *,
    options: ExportOptions,
    on_progress: OnProgress = lambda text: None,
) -> ExportResult:
    """Write a run's model as a file, and compare it with the model on images of the run and on noise.

    Args:
        predictor: The run's, on the CPU in full precision.
        dataset: The validation split of the run.
        folder: Where the files go; those of an earlier export are replaced.
        options: What is exported.
        on_progress: Called with what is done next.

    Returns:
        The result; a file that differs is named ``*.rejected``.

    Raises:
        UserError: If the model has no such form, or does not take images of the size.
    """
    _check_size(predictor, options)
    if isinstance(options.size, tuple):
        predictor = at_size(predictor, options.size)
    images = read_images(predictor, dataset, MAX_IMAGES)
    if not images:
        raise UserError(
            "export: no image of the validation split can be read, and a file is handed over only if it was "
            "compared on some. Where the data are: dataset.root=FOLDER"
        )
    info, name = describe_export(predictor, options), _FILE_NAMES[options.to]
    target = folder / name
    on_progress(f"writing {target}")
    with made_folder(folder), draft_folder(folder) as drafts:
        draft = drafts / name
        run = _write(predictor, images, draft, options=options, info=info, on_progress=on_progress)
        on_progress("comparing it with the run's model")
        parity = Parity()
        _compare(run, predictor, images, parity, decode=options.decode, on_progress=on_progress)
        if options.size == "dynamic" and predictor.inference.transform.mode != "resize_pad":
            on_progress("comparing it at other sizes")
            _compare_other_sizes(run, predictor, dataset, parity, decode=options.decode, on_progress=on_progress)
        if parity.size_multiple > 1:
            info["size_multiple"] = parity.size_multiple
            GRAPH_FORMATS[options.to].describe(draft, {METADATA_KEY: info})
        return ExportResult(folder, place_files(draft, target, info, parity), parity)


def _check_size(predictor: Predictor, options: ExportOptions) -> None:
    """Check that the model takes images of the size that is exported.

    Raises:
        UserError: If it does not.
    """
    if options.to == "safetensors":
        return
    if predictor.inference.transform.mode == "resize_pad" and options.size != "dynamic":
        raise UserError(
            "export: dataset.fit=resize_pad gives images of many sizes, and this file would take one. Try: size=dynamic"
        )
    if options.size is None:
        return
    own, dynamic = predictor.image_size, options.size == "dynamic"
    size = options.size if isinstance(options.size, tuple) else other_sizes(own, multiple=_MULTIPLES[-1])[1]
    resized = at_size(predictor, size)
    try:
        _graph(resized, options).run(example_inputs(resized))
    except Exception as error:  # whatever its layers raise
        reason = " ".join(str(error).split())[:300].rstrip(".")
        typed, pixels = ("dynamic", "") if dynamic else (f"{size[0]},{size[1]}", f" of {size[0]}x{size[1]} pixels")
        other = "" if dynamic else f", or train it for this size: dataset.image_size=[{size[0]},{size[1]}]"
        raise UserError(
            f"size: found {typed}, but the network does not take images{pixels or ' of any size'}: {reason}. Expected "
            f"those that it was trained on, {own[0]}x{own[1]} pixels. Leave size= out{other}"
        ) from None


def _write(
    predictor: Predictor,
    images: list[Tensor],
    path: Path,
    *,
    options: ExportOptions,
    info: Mapping[str, Any],
    on_progress: OnProgress,
) -> Runner:
    """Write a file, and return what runs it."""
    if options.to == "safetensors":
        assert predictor.path is not None
        write_weights(RunFolder(predictor.path), path)
        return run_weights(path)
    form = GRAPH_FORMATS[options.to]
    graph = _choose_graph(predictor, images, options, on_progress)
    form.write(graph, example_inputs(predictor), path, {METADATA_KEY: info}, dynamic_size=options.size == "dynamic")
    return form.runner(path)


def _graph(predictor: Predictor, options: ExportOptions, suppression: tuple[int, int] = SUPPRESSIONS[0]) -> ExportGraph:
    task = predictor.task
    return ExportGraph(
        predictor.inference.model, task=task, decode=options.decode,
        suppression=suppression,
    )  # fmt: skip


@torch.inference_mode()
def _choose_graph(
    predictor: Predictor, images: list[Tensor], options: ExportOptions, on_progress: OnProgress
) -> ExportGraph:
    """Of detectors, the graph with the least suppression that predicts what the model predicts."""
    suppressions = list(SUPPRESSIONS)
    model, graph = predictor.inference.model, _graph(predictor, options, suppressions.pop(0))
    if not graph.suppressions or not options.decode:
        return graph
    pairs = batches(images, predictor, sizes=(_CHOICE_BATCH,))
    for name, inputs in with_progress(pairs, on_progress, of=len(images)):
        raw = model(inputs["images"], inputs.get("image_sizes"))
        while suppressions:
            parity = Parity()
            found = graph.model.predict(raw, inputs.get("image_sizes"))
            compare_predictions(name, model, raw, found, inputs, parity)
            if parity.num_problems == 0:
                break
            graph = _graph(predictor, options, suppressions.pop(0))
    return graph


def _compare(
    run: Runner, predictor: Predictor, images: list[Tensor], parity: Parity, *, decode: bool, on_progress: OnProgress
) -> None:
    """Compare a file with the model, on images and on noise."""
    random = noise(predictor, _NUM_NOISE)
    parity.images += len(images)
    parity.noise += len(random)
    for group, is_noise in ((images, False), (random, True)):
        pairs = with_progress(batches(group, predictor), on_progress, of=len(group))
        check_parity(run, predictor.inference.model, pairs, parity=parity, noise=is_noise, decode=decode)


def _compare_other_sizes(
    run: Runner, predictor: Predictor, dataset: Any, parity: Parity, *, decode: bool, on_progress: OnProgress
) -> None:
    """Compare a file that takes images of any size at other sizes, of the least multiple at which it is equal."""
    for multiple in _MULTIPLES:
        found = Parity(size_multiple=multiple)
        for size in other_sizes(predictor.image_size, multiple=multiple):
            resized = at_size(predictor, size)
            found.sizes.append(size)
            of_size = read_images(resized, dataset, _NUM_OF_OTHER_SIZE)
            _compare(run, resized, of_size, found, decode=decode, on_progress=on_progress)
        if found.passed:
            break
    parity.merge(found)
