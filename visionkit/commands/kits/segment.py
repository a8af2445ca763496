"""Semantic segmentation in the commands: masks as files of ids, and laid over images."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from visionkit.commands.kits.base import Results, TaskKit, autocast, some_images
from visionkit.errors import UserError
from visionkit.files import write_atomic
from visionkit.inference.options import PredictOptions
from visionkit.inference.sliding_window import slide
from visionkit.metrics.table import Table
from visionkit.report.masks import mask_colours, plot_masks, write_mask, write_overlay
from visionkit.structures.class_ids import IGNORE_INDEX
from visionkit.structures.masks import restore_logits, restore_masks

__all__ = ["SegmentKit"]

PICTURES = 8
SHOWN = 20
OVERLAP = 0.25


class SegmentKit(TaskKit):
    """Overlays, index masks, confusion matrix and ``predictions.json``."""

    files = ("predictions.json", "masks", "images")
    at_once = 16

    def draw_batch(self, batch: Mapping[str, Tensor], class_names: Sequence[str], path: Path) -> None:
        some = (batch[name][:PICTURES] for name in ("images", "image_sizes", "mask"))
        panels = [
            (image[:, :height, :width], mask[:height, :width])
            for image, (height, width), mask in zip(*some, strict=True)
        ]
        plot_masks(panels, class_names, path, title="first training batch")

    def draw_tables(self, tables: Mapping[str, Table], class_names: Sequence[str], plots: Path) -> None:
        from visionkit.report.plots import plot_confusion_matrix

        if "confusion_matrix" in tables:
            counts = [[int(cell or 0) for cell in row[1:]] for row in tables["confusion_matrix"].rows]
            plot_confusion_matrix(counts, class_names, plots / "confusion_matrix.png", unit="pixels")

    def draw_predictions(
        self, model: Any, samples: Any, preprocess: Any, class_names: Sequence[str], path: Path
    ) -> None:
        model.eval()
        panels: list[tuple[Tensor, Tensor | None]] = []
        for position, image in some_images(samples, PICTURES):
            try:
                truth = samples.mask(position)
            except UserError:
                continue
            (mask,) = _segment(model, preprocess, [preprocess.fit(image)], [image.shape[1:]])
            # What counts neither way is left clear in both.
            panels += [(image, None), (image, truth), (image, mask.masked_fill(truth == IGNORE_INDEX, IGNORE_INDEX))]
        if panels:
            headings = ("image", "truth", "predicted") * 2
            title = "validation images"
            plot_masks(panels, class_names, path, title=title, columns=6, headings=headings)

    def results(
        self, model: Any, preprocess: Any, data: Mapping[str, Any], *, target: Path, paths: Sequence[Path],
        precision: str, options: PredictOptions,
    ) -> Results:  # fmt: skip
        options.allow("window", "overlap", because="this run segments: every pixel gets its most likely class.")
        return _Masks(model, preprocess, data, target=target, paths=paths, precision=precision, options=options)


class _Masks(Results):
    """For each image a mask, a picture, and a row with the pixels of each class."""

    def __init__(
        self, model: Any, preprocess: Any, data: Mapping[str, Any], *, target: Path, paths: Sequence[Path],
        precision: str, options: PredictOptions,
    ) -> None:  # fmt: skip
        self.model, self.preprocess, self.precision = model, preprocess, precision
        self.target, self.names = target, data["class_names"]
        self.window = tuple(data["image_size"]) if options.window == "auto" else options.window
        self.overlap = OVERLAP if options.overlap is None else options.overlap
        self.ids = _mask_ids(data.get("category_ids"), len(self.names))
        self.pictures, self.masks = _places(paths)
        self.rows = []

    def prepare(self, image: Tensor) -> tuple[Tensor, Tensor | None]:
        return image, None if self.window else self.preprocess.fit(image)

    def take(self, paths: Sequence[Path], prepared: Sequence[tuple[Tensor, Tensor | None]]) -> None:
        if self.window:
            masks = [_slide(self.model, self.preprocess, image, self.window, self.overlap, precision=self.precision)
                     for image, _ in prepared]  # fmt: skip
        else:
            fitted, sizes = [fit for _, fit in prepared if fit is not None], [image.shape[1:] for image, _ in prepared]
            masks = _segment(self.model, self.preprocess, fitted, sizes, precision=self.precision)
        colours = dict(zip(self.ids.tolist(), mask_colours(self.names), strict=False))
        for path, (image, _), mask in zip(paths, prepared, masks, strict=True):
            write_mask(self.ids[mask.int()], colours, self.target / "masks" / self.masks[path])
            write_overlay(image, mask, self.names, self.target / "images" / self.pictures[path])
            counts = torch.bincount(mask.flatten(), minlength=len(self.names)).tolist()
            self.rows.append(
                {
                    "file_name": str(path),
                    "mask": str(Path("masks", self.masks[path])),
                    "pixels": {name: count for name, count in zip(self.names, counts, strict=True) if count},
                }
            )

    def write(self) -> None:
        classes = [
            {"id": number, "name": name, "colour": colour}
            for number, name, colour in zip(
                self.ids[: len(self.names)].tolist(), self.names, mask_colours(self.names), strict=True
            )
        ]
        rows = ",\n".join(json.dumps(row, ensure_ascii=False) for row in self.rows)
        text = f'{{"classes": {json.dumps(classes, ensure_ascii=False)},\n"images": [\n{rows}\n]}}\n'
        write_atomic(self.target / "predictions.json", text)

    def lines(self) -> list[str]:
        total: Counter[str] = Counter()
        for row in self.rows:
            total.update(row["pixels"])
        return [
            *(f"{row['file_name']}: {_shares(row['pixels'])}" for row in self.rows[:SHOWN]),
            *([f"... and {len(self.rows) - SHOWN:,} more"] if len(self.rows) > SHOWN else []),
            f"{len(self.rows):,} images: {_shares(total)}",
        ]


@torch.inference_mode()
def _logits(model: Any, preprocess: Any, fitted: Sequence[Tensor], *, precision: str) -> tuple[Tensor, Tensor]:
    """Logits (B, K, H, W) float32 of fitted images, and their sizes in the batch."""
    device = next(model.parameters()).device
    images, image_sizes = (tensor.to(device) for tensor in preprocess.pad_batch(fitted))
    with autocast(device, precision):
        outputs = model(images, image_sizes)
    return outputs["logits"].float(), image_sizes


def _segment(
    model: Any, preprocess: Any, fitted: Sequence[Tensor], sizes: Sequence[Sequence[int]], *, precision: str = "32"
) -> list[Tensor]:
    """The class of each pixel of each original image, (h, w) uint8 on the CPU."""
    logits, image_sizes = _logits(model, preprocess, fitted, precision=precision)
    masks = restore_masks(logits, image_sizes, torch.tensor([tuple(size) for size in sizes], device=logits.device))
    return [mask[:height, :width] for mask, (height, width) in zip(masks.cpu(), sizes, strict=True)]


def _slide(
    model: Any, preprocess: Any, image: Tensor, window: tuple[int, ...], overlap: float, *, precision: str
) -> Tensor:
    """The same of one image, by windows, each of which goes into the model as an image by itself would."""

    def look(crops: Tensor) -> Tensor:
        logits, image_sizes = _logits(model, preprocess, [preprocess.fit(crop) for crop in crops], precision=precision)
        sizes = image_sizes.new_tensor([crops.shape[2:]] * len(crops))
        with torch.inference_mode():
            return torch.stack(restore_logits(logits, image_sizes, sizes)).softmax(dim=1)

    with torch.inference_mode():
        return slide(look, image, window=(window[0], window[1]), overlap=overlap)


def _mask_ids(category_ids: Sequence[int] | None, number: int) -> Tensor:
    """What stands in a mask's file for each class: the data set's own numbers where they fit, and 255 as it is."""
    ids = torch.arange(256, dtype=torch.uint8)
    if (
        category_ids is not None
        and len(category_ids) == number
        and all(0 <= own < IGNORE_INDEX for own in category_ids)
    ):
        ids[:number] = torch.tensor(category_ids, dtype=torch.uint8)
    return ids


def _places(paths: Sequence[Path]) -> tuple[dict[Path, Path], dict[Path, Path]]:
    """Where pictures and masks go: as images lie below the folder that all share; masks by their stems alone."""
    above = Path(os.path.commonpath([path.absolute().parent for path in paths]))
    inner = {path: path.absolute().relative_to(above) for path in paths}
    stems = Counter(place.with_suffix("") for place in inner.values())
    pictures, masks = {}, {}
    for path, place in inner.items():
        named = place.with_name(f"{place.name}.png")
        pictures[path] = place if place.suffix.lower() in (".jpg", ".jpeg", ".png") else named
        masks[path] = place.with_suffix(".png") if stems[place.with_suffix("")] == 1 else named
    return pictures, masks


def _shares(pixels: Mapping[str, int]) -> str:
    total = sum(pixels.values())
    most = sorted(pixels.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {count / total:.1%}" for name, count in most)
