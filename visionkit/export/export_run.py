"""The export of a run: the file, the proof that it is equal, and what a person needs to use it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from visionkit.errors import UserError
from visionkit.export.files import FORMATS, Runner
from visionkit.export.graph import MAX_CANDIDATES, ExportGraph, example_inputs
from visionkit.export.parity import Parity, check_parity
from visionkit.files import write_atomic
from visionkit.models.onnx_model import METADATA_KEY
from visionkit.text import json_text

if TYPE_CHECKING:
    from visionkit.inference.predictor import Predictor

__all__ = ["ExportResult", "export_predictor", "has_script"]

MAX_IMAGES = 200
_NUM_NOISE = 4
_SCRIPT = Path(__file__).with_name("run_onnx.py")


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
    to: str,
    decode: bool = True,
    on_progress: Callable[[str], None] = lambda text: None,
) -> ExportResult:
    """Write a run's model as a file, and compare it with the model on images of the run and on noise.

    Args:
        predictor: The run's, on the CPU in full precision.
        dataset: The validation split of the run.
        folder: Where the files go; those of an earlier export are replaced.
        to: One of `FORMATS`.
        decode: Whether the file gives predictions, and not the raw outputs of the head alone.
        on_progress: Called with what is done next.

    Returns:
        The result; a file that differs is named ``*.rejected``.

    Raises:
        UserError: If the model has no such form, or a package is missing.
    """
    inference = predictor.inference
    transform, data = inference.transform, inference.data
    if transform.mode == "resize_pad":
        raise UserError(
            "export: dataset.fit=resize_pad gives images of many sizes, and an exported file takes one. Expected a run "
            "with images of one size. Train one: dataset.fit=letterbox"
        )
    name, write, make_runner = FORMATS[to]
    takes_sizes = predictor.task not in ("classify", "multilabel")
    images = [loaded.pixels for _, loaded in inference.images(dataset, MAX_IMAGES)]
    graph = _choose_graph(predictor, images, decode=decode, takes_sizes=takes_sizes)
    info = _describe(predictor, decode=decode)
    folder.mkdir(parents=True, exist_ok=True)
    target, draft = folder / name, folder / f"{name}.unchecked"
    on_progress(f"writing {target}")
    write(graph, example_inputs(data, takes_sizes=takes_sizes), draft, {METADATA_KEY: info})
    try:
        on_progress("comparing it with the run's model")
        parity = _compare(make_runner(draft), predictor, images, takes_sizes=takes_sizes)
        for old in (target, folder / f"{name}.rejected"):
            old.unlink(missing_ok=True)
        kept = draft.rename(target if parity.passed else folder / f"{name}.rejected")
    finally:
        draft.unlink(missing_ok=True)
    files = [kept, folder / "classes.json", folder / "parity.json"]
    write_atomic(files[1], json_text(info, indent=2) + "\n")
    write_atomic(files[2], json_text(parity.document(), indent=2) + "\n")
    script = folder / _SCRIPT.name
    script.unlink(missing_ok=True)
    if to == "onnx" and has_script(info):
        files.append(script)
        write_atomic(script, _SCRIPT.read_bytes())
    return ExportResult(folder, tuple(files), parity)


def has_script(info: Mapping[str, Any]) -> bool:
    """Whether the script reads what the file takes: Pillow's pictures of 8 bits, for predictions.

    Args:
        info: The content of ``classes.json``.
    """
    return bool(info["decode"] and info["value_range"] is None and info["in_channels"] in (1, 3))


def _choose_graph(predictor: Predictor, images: list[Tensor], *, decode: bool, takes_sizes: bool) -> ExportGraph:
    """The graph with the fewest candidates of suppression that give what the model gives, of detectors."""
    inference = predictor.inference
    for max_candidates in MAX_CANDIDATES:
        graph = ExportGraph(
            inference.model, task=predictor.task, decode=decode, takes_sizes=takes_sizes, max_candidates=max_candidates
        )
        if not graph.suppressions or not decode:
            break
        parity = Parity(images=len(images))
        batches = _batches(images, inference.transform, takes_sizes=takes_sizes)
        check_parity(graph.run, inference.model, batches, parity=parity, noise=False)
        if parity.passed:
            break
    return graph


def _compare(runner: Runner, predictor: Predictor, images: list[Tensor], *, takes_sizes: bool) -> Parity:
    """The comparison of a file with the model, on images and on noise."""
    inference = predictor.inference
    noise = _noise(inference.data, _NUM_NOISE)
    parity = Parity(images=len(images), noise=len(noise))
    for group, is_noise in ((images, False), (noise, True)):
        batches = _batches(group, inference.transform, takes_sizes=takes_sizes)
        check_parity(runner, inference.model, batches, parity=parity, noise=is_noise)
    return parity


def _describe(predictor: Predictor, *, decode: bool) -> dict[str, Any]:
    """What a program must know of the file: classes, and how images are read and resized for it."""
    data, transform = predictor.data, predictor.inference.transform
    return {
        "task": predictor.task,
        "class_names": list(predictor.class_names),
        "category_ids": list(predictor.category_ids),
        "in_channels": data["in_channels"],
        "value_range": data.get("value_range"),
        "resize": asdict(transform),
        "decode": decode,
    }


def _batches(images: list[Tensor], transform: Any, *, takes_sizes: bool) -> Iterator[tuple[str, Mapping[str, Tensor]]]:
    """Each image alone, and in batches of three."""
    for size in (1, 3):
        for start in range(0, len(images), size):
            batch, sizes = transform.pad_batch(images[start : start + size])
            name = f"image {start + 1}" if size == 1 else f"images {start + 1} to {start + len(batch)}"
            yield name, {"images": batch} | ({"image_sizes": sizes} if takes_sizes else {})


def _noise(data: Mapping[str, Any], count: int) -> list[Tensor]:
    height, width = data["image_size"]
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (count, data["in_channels"], height, width), generator=generator)
    return list(images.to(torch.uint8 if data.get("value_range") is None else torch.float32))
