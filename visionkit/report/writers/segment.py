"""Result files of semantic segmentation: masks of ids, overlays, and a JSON file with the classes of the ids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visionkit.files import write_atomic
from visionkit.report.masks import mask_colours, write_mask, write_overlay
from visionkit.report.writers.base import MAX_SUMMARY_ROWS, ResultWriter, common_folder, picture_name, relative_name
from visionkit.structures.class_ids import IGNORE_INDEX
from visionkit.text import count_of, json_text

__all__ = ["SegmentWriter"]


class SegmentWriter(ResultWriter):
    """For each image a mask, an overlay, and a row with the number of pixels of each class."""

    files = ("predictions.json", "masks", "images")

    def __init__(
        self, folder: Path, data: Mapping[str, Any], paths: Sequence[Path], *, min_score: float | None = None
    ) -> None:
        super().__init__(folder, data, paths, min_score=min_score)
        self.ids = _mask_ids(data.get("category_ids"), len(self.class_names))
        self.colours = dict(zip(self.ids.tolist(), mask_colours(self.class_names), strict=False))
        self.pictures, self.masks = _file_names(paths)

    def add(self, path: Path, image: Any, prediction: Mapping[str, Any], *, reduced: int = 1) -> None:
        self.num_reduced += reduced > 1
        mask = np.asarray(prediction["mask"])
        write_mask(self.ids[mask], self.colours, self.folder / "masks" / self.masks[path])
        write_overlay(image, mask[::reduced, ::reduced], self.class_names, self.folder / "images" / self.pictures[path])
        counts = np.zeros(256, dtype=np.int64)
        for rows in np.array_split(mask, max(1, mask.size >> 24)):  # bincount makes eight bytes of each
            counts += np.bincount(rows.ravel(), minlength=256)
        self.rows.append(
            {
                "file_name": str(path),
                "mask": str(Path("masks", self.masks[path])),
                "pixels": {
                    name: count for name, count in zip(self.class_names, counts.tolist(), strict=False) if count
                },
            }
        )

    def write(self) -> None:
        colours = mask_colours(self.class_names)
        classes = [
            {"id": class_id, "name": name, "colour": colour}
            for class_id, name, colour in zip(self.ids.tolist(), self.class_names, colours, strict=False)
        ]
        rows = ",\n".join(json_text(row) for row in self.rows)
        text = f'{{"classes": {json_text(classes)},\n"images": [\n{rows}\n]}}\n'
        write_atomic(self.folder / "predictions.json", text)

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


def _file_names(paths: Sequence[Path]) -> tuple[dict[Path, Path], dict[Path, Path]]:
    """Names of overlays and masks, relative to the images' common folder; masks have the suffix ``.png``."""
    root = common_folder(paths)
    names = {path: relative_name(path, root) for path in paths}
    stems = Counter(name.with_suffix("") for name in names.values())
    pictures = {path: picture_name(name) for path, name in names.items()}
    masks = {
        path: name.with_suffix(".png") if stems[name.with_suffix("")] == 1 else name.with_name(f"{name.name}.png")
        for path, name in names.items()
    }
    return pictures, masks


def _format_fractions(pixels: Mapping[str, int]) -> str:
    total = sum(pixels.values())
    ordered = sorted(pixels.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {count / total:.1%}" for name, count in ordered)
