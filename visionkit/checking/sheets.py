"""The pictures of a check: the data set at a glance, a batch as the network will see it, and the worst findings."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy
from numpy.typing import NDArray

from visionkit.checking.box_checks import annotated_splits
from visionkit.checking.data_set import DataSet
from visionkit.checking.levels import PointLevels
from visionkit.data.findings import Finding
from visionkit.errors import UserError
from visionkit.registry import load
from visionkit.report.image_grid import PANEL_SIZE, panel_scale, to_pil_image, write_image_grid
from visionkit.report.plots.data_sheet import DataSheet, plot_data_sheet
from visionkit.report.style import ERROR_COLOUR
from visionkit.text import count_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from visionkit.runs.config import RunConfig

__all__ = ["PICTURES", "draw_sheets"]

PICTURES = ("data.png", "train_batch.png", "findings.png")

_CELLS = 24
_REACH = 8
_MAX_SHOWN = 24
_OF_A_CODE = 4
_PLACE = re.compile(r"^(?P<name>.*?)(?: object (?P<object>\d+))?(?: \([\d,]+\))?$")


def draw_sheets(data: DataSet, findings: Sequence[Finding], config: RunConfig, folder: Path) -> list[Path]:
    """Draw what there is to draw, and return the files.

    Args:
        data: The data set.
        findings: Errors first.
        config: Of the training.
        folder: Where the pictures go.
    """
    if not data.splits:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    sheet, batch, worst = (folder / name for name in PICTURES)
    plot_data_sheet(_sheet(data), sheet)
    return [sheet, *_draw_batch(config, batch), *_draw_findings(data, findings, worst)]


def _sheet(data: DataSet) -> DataSheet:
    info, total = data.info, sum(map(len, data.splits.values()))
    original, fitted = data.sizes
    marked = dict(annotated_splits(data)).get("train")
    title = f"{data.source.name}: {count_of(total, 'image')}"
    pixels = None if data.pixels is None else data.pixels["mean"][(data.files.split >= 0) & data.pixels["is_read"]]
    common: dict[str, Any] = {
        "title": title, "class_names": info.class_names if info else (), "class_counts": data.class_counts,
        "things": "images" if data.target in ("label", "label_set") else "objects",
        "sizes": {split: sizes[sizes[:, 0] > 0] for split, sizes in original.items()},
        "input_size": info.image_size if info else (0, 0), "brightness": pixels,
    }  # fmt: skip
    if marked is None or not len(marked.objects):
        return DataSheet(**common)
    image = numpy.repeat(numpy.arange(len(marked)), marked.counts)
    known = original["train"][image][:, 0] > 0
    factors = (fitted["train"][image][known] / original["train"][image][known])[:, ::-1]
    boxes = marked.objects.boxes[known].astype(numpy.float64)
    at_training = boxes * numpy.tile(factors, 2)
    sides = numpy.sqrt((at_training[:, 2:] - at_training[:, :2]).prod(axis=1))
    relative = boxes / numpy.tile(original["train"][image][known][:, ::-1], 2)
    taken = None if data.levels is None else data.levels.takes(at_training)
    borders = [_REACH * stride for stride in data.levels.strides[:-1]] if isinstance(data.levels, PointLevels) else []
    return DataSheet(
        **common, coverage=_coverage(relative, image[known], len(marked)), sides=sides, is_taken=taken,
        borders=borders, per_image=marked.counts,
    )  # fmt: skip


def _coverage(boxes: NDArray[Any], image: NDArray[Any], num_images: int) -> NDArray[Any]:
    """The share of images in which each cell of a grid lies in a box, (H, W)."""
    centers = (numpy.arange(_CELLS) + 0.5) / _CELLS
    covered = numpy.zeros((num_images, _CELLS, _CELLS), dtype=bool)
    across = (centers >= boxes[:, :1]) & (centers <= boxes[:, 2:3])
    down = (centers >= boxes[:, 1:2]) & (centers <= boxes[:, 3:])
    for start in range(0, len(boxes), 4096):
        part = slice(start, start + 4096)
        numpy.logical_or.at(covered, image[part], down[part, :, None] & across[part, None, :])
    share: NDArray[Any] = covered.mean(axis=0)
    return share


def _draw_batch(config: RunConfig, path: Path) -> list[Path]:
    """A batch of train with its targets, as the network will see it; nothing if it cannot be read."""
    try:
        module = config.datamodule(None)
        module.setup("fit")
        loader = module.train_dataloader()
    except UserError:
        return []
    drawing = load(config.task.drawing)()
    loader.sampler.set_epoch(0)
    first = next(iter(loader.sampler))
    some = slice(drawing.max_batch)
    batch = loader.reader.read(first._replace(indices=first.indices[some], seeds=first.seeds[some]))
    drawing.batch(batch, config.source.info().class_names, path, num_images=len(first.indices))
    return [path]


def _draw_findings(data: DataSet, findings: Sequence[Finding], path: Path) -> list[Path]:
    """The first images of each finding that names some, with the object marked."""
    pictures, captions, positions = list[Any](), list[str](), _positions(data)
    for finding in findings:
        shown = 0
        for place in finding.places:
            picture = _marked(data, positions, place) if shown < _OF_A_CODE and len(pictures) < _MAX_SHOWN else None
            if picture is not None:
                shown += 1
                pictures.append(picture)
                captions.append(f"{finding.code}\n{place.rpartition('/')[2][-40:]}")
    if not pictures:
        return []
    write_image_grid(
        pictures, path, title=f"{data.source.name}: what the check has found", columns=6, captions=captions
    )
    return [path]


def _marked(data: DataSet, positions: Mapping[str, tuple[str, int]], place: str) -> Any:
    """The image that a place names, as a Pillow image, its object framed; None if it names none that can be read."""
    from PIL import ImageDraw

    found = _PLACE.match(place.partition(" and ")[0])
    position = None if found is None else positions.get(found["name"])
    if found is None or position is None:
        return None
    split, index = position
    samples = data.splits[split]
    try:
        pixels = samples.image(index)
    except UserError:
        return None
    scale = panel_scale(*pixels.shape[-2:], size=PANEL_SIZE // 2)
    picture = to_pil_image(pixels, scale=scale)
    if found["object"] is not None and samples.annotations is not None:
        box = samples.annotations[index].boxes[int(found["object"]) - 1] * scale
        ImageDraw.Draw(picture).rectangle(box.tolist(), outline=ERROR_COLOUR, width=2)
    return picture


def _positions(data: DataSet) -> dict[str, tuple[str, int]]:
    """Split and index of each image by its name relative to the root."""
    return {
        data.place(split, index): (split, index)
        for split, samples in data.splits.items()
        for index in range(len(samples))
    }
