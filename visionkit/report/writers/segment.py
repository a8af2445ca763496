"""Results of semantic segmentation: masks of ids, overlays, a table, and a JSON file with the classes of the ids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from visionkit.report.masks import draw_overlay, mask_colours, write_mask
from visionkit.report.writers.base import MAX_SUMMARY_ROWS, ResultWriter, relative_names, result_names
from visionkit.structures.class_ids import IGNORE_INDEX
from visionkit.text import count_of, json_text

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["SegmentWriter"]


class SegmentWriter(ResultWriter):
    """For each image a mask, an overlay, and a row with the number of pixels of each class."""

    folders = ("masks", "images")

    def __init__(self, target: Path, data: Mapping[str, Any], paths: Sequence[Path], **options: Any) -> None:
        super().__init__(target, data, paths, **options)
        self.ids = _mask_ids(data.get("category_ids"), len(self.class_names))
        self.colours = dict(zip(self.ids.tolist(), mask_colours(self.class_names), strict=False))
        self.masks = _mask_names(paths, self.shared_folder)

    def draw(self, image: Any, prediction: Mapping[str, Any], *, reduced: int) -> Image.Image:
        return draw_overlay(image, np.asarray(prediction["mask"])[::reduced, ::reduced], self.class_names)

    def note(self, path: Path, prediction: Mapping[str, Any]) -> None:
        mask = np.asarray(prediction["mask"])
        if self.file is None:
            write_mask(self.ids[mask], self.colours, self.target / "masks" / self.masks[path])
        counts = np.zeros(256, dtype=np.int64)
        for rows in np.array_split(mask, max(1, mask.size >> 24)):  # bincount makes eight bytes of each
            counts += np.bincount(rows.ravel(), minlength=256)
        self.rows.append(
            {
                "file_name": str(path),
                **({"mask": str(Path("masks", self.masks[path]))} if self.file is None else {}),
                "pixels": {
                    name: count for name, count in zip(self.class_names, counts.tolist(), strict=False) if count
                },
            }
        )

    def columns(self) -> Sequence[str]:
        return ["image", "label", "pixels", "share"]

    def table(self) -> Iterable[Sequence[Any]]:
        for row in self.rows:
            total = sum(row["pixels"].values())
            for name, count in row["pixels"].items():
                yield [row["file_name"], name, count, f"{count / total:.6f}"]

    def document(self) -> str:
        colours = mask_colours(self.class_names)
        classes = [
            {"id": class_id, "name": name, "colour": colour}
            for class_id, name, colour in zip(self.ids.tolist(), self.class_names, colours, strict=False)
        ]
        rows = ",\n".join(json_text(row) for row in self.rows)
        return f'{{"classes": {json_text(classes)},\n"images": [\n{rows}\n]}}\n'

    def summary(self) -> list[str]:
        total: Counter[str] = Counter()
        for row in self.rows:
            total.update(row["pixels"])
        return [
            *(f"{row['file_name']}: {_format_fractions(row['pixels'])}" for row in self.rows[:MAX_SUMMARY_ROWS]),
            *self._remaining_line(len(self.rows)),
            f"{count_of(len(self.rows), 'image')}: {_format_fractions(total)}",
        ]


def _mask_ids(category_ids: Sequence[int | str] | None, count: int) -> NDArray[np.uint8]:
    """The id of each class in mask files, (256,): the data set's category ids if all fit in 0..254; 255 stays 255."""
    ids = np.arange(256, dtype=np.uint8)
    if (
        category_ids is not None
        and len(category_ids) == count
        and all(isinstance(number, int) and 0 <= number < IGNORE_INDEX for number in category_ids)
    ):
        ids[:count] = category_ids
    return ids


def _mask_names(paths: Sequence[Path], folder: Path) -> dict[Path, Path]:
    """Names of masks: with the suffix ``.png``, appended where two images differ by their suffix alone."""
    names = relative_names(paths, folder)
    stems = Counter(name.with_suffix("") for name in names.values())
    return result_names(
        {
            path: name.with_suffix(".png") if stems[name.with_suffix("")] == 1 else name.with_name(f"{name.name}.png")
            for path, name in names.items()
        }
    )


def _format_fractions(pixels: Mapping[str, int]) -> str:
    total = sum(pixels.values())
    ordered = sorted(pixels.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {count / total:.1%}" for name, count in ordered)
