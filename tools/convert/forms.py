"""Writers of data sets: what a form can hold, and how it is written."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy
from PIL import Image

from visionkit.data.dataset import FileDataset

__all__ = ["FORMS", "ConversionError", "Converted"]

_DIGITS = 4
"""Of coordinates in pixels: a hundredth is kept."""


class ConversionError(Exception):
    """A data set cannot have a form."""


@dataclass(frozen=True)
class Converted:
    """A data set, and where it is written.

    Attributes:
        splits: The images and targets of each split.
        class_names: In the order of their ids.
        out: The new folder.
        copy: Makes an image file of another one.
    """

    splits: Mapping[str, FileDataset]
    class_names: Sequence[str]
    out: Path
    copy: Callable[..., object]

    def images(self, folder: Callable[[str], str]) -> Iterator[tuple[str, int, FileDataset, str]]:
        """Split, index, samples and new name of each image, after it is copied to ``folder(split)``.

        Names stay as they are; where two would be one, the later has a number.
        """
        taken = set[str]()
        for split, samples in self.splits.items():
            for index in range(len(samples)):
                source = Path(samples.name(index))
                name = _free(source.name, taken, folder(split))
                target = self.out / folder(split) / name
                target.parent.mkdir(parents=True, exist_ok=True)
                self.copy(source, target)
                yield split, index, samples, name


def _free(name: str, taken: set[str], folder: str) -> str:
    """A name whose stem no other image of the folder has."""
    stem, ending = os.path.splitext(name)
    number, free = 1, stem
    while f"{folder}/{free}" in taken:
        number += 1
        free = f"{stem}_{number}"
    taken.add(f"{folder}/{free}")
    return free + ending


def _words(names: Sequence[str]) -> str:
    return json.dumps(list(names), ensure_ascii=False)


def write_folder(data: Converted) -> str:
    """SPLIT/CLASS/image."""
    for name in data.class_names:
        if "/" in name or name in ("", ".", ".."):
            raise ConversionError(f"class '{name}': no folder can have this name. Rename the class")
    taken = set[str]()
    for split, samples in data.splits.items():
        for index, label in enumerate(samples.labels.tolist()):
            source, folder = Path(samples.name(index)), f"{split}/{data.class_names[label]}"
            target = data.out / folder / _free(source.name, taken, folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            data.copy(source, target)
    return f"dataset=folder dataset.root={data.out}"


def write_coco(data: Converted) -> str:
    """SPLIT/image, and annotations/SPLIT.json with boxes, and outlines if there are some."""
    content: dict[str, dict[str, list[Any]]] = {
        split: {"images": [], "annotations": [], "categories": _categories(data)} for split in data.splits
    }
    number = 0
    for image, (split, index, samples, name) in enumerate(data.images(lambda split: split), start=1):
        height, width = samples.image_size(index)
        content[split]["images"].append({"id": image, "file_name": name, "height": height, "width": width})
        objects = samples.annotation(index)
        shapes = _rings(objects)
        for row, (x1, y1, x2, y2) in enumerate(objects.boxes.tolist()):
            number += 1
            annotation = {
                "id": number, "image_id": image, "category_id": int(objects.labels[row]) + 1,
                "bbox": [round(value, _DIGITS) for value in (x1, y1, x2 - x1, y2 - y1)],
                "area": round(float(objects.area[row]), _DIGITS), "iscrowd": int(objects.crowd[row]),
            }  # fmt: skip
            if shapes is not None:
                annotation["segmentation"] = shapes[row]
            content[split]["annotations"].append(annotation)
    (data.out / "annotations").mkdir()
    for split, of_split in content.items():
        (data.out / "annotations" / f"{split}.json").write_text(json.dumps(of_split), encoding="utf-8")
    return f"dataset=coco dataset.root={data.out}"


def _categories(data: Converted) -> list[dict[str, Any]]:
    return [{"id": number, "name": name} for number, name in enumerate(data.class_names, start=1)]


def _rings(objects: Any) -> list[list[list[float]]] | None:
    """The outlines of each object; None where there are boxes alone."""
    shapes = objects.segmentations
    if shapes is None:
        return None
    if shapes.is_rle.any():
        raise ConversionError(
            "objects have run lengths in the place of outlines, which no other form has. Expected outlines"
        )
    found = []
    for start, end in zip(shapes.starts[:-1].tolist(), shapes.starts[1:].tolist(), strict=True):
        points = shapes.values[start:end].reshape(-1, 2)
        gaps = numpy.flatnonzero(numpy.isnan(points[:, 0]))
        parts = numpy.split(points, gaps)
        rings = [part[~numpy.isnan(part[:, 0])].round(_DIGITS).ravel().tolist() for part in parts]
        found.append([ring for ring in rings if ring])
    return found


def write_voc(data: Converted) -> str:
    """JPEGImages/, Annotations/ and ImageSets/Main/SPLIT.txt; pixels are counted from 1."""
    lists: dict[str, list[str]] = {split: [] for split in data.splits}
    for split, index, samples, name in data.images(lambda split: "JPEGImages"):
        height, width = samples.image_size(index)
        objects = samples.annotation(index)
        parts = [
            _voc_object(data.class_names[int(label)], box)
            for label, box in zip(objects.labels, objects.boxes.tolist(), strict=True)
        ]
        text = (
            f"<annotation><folder>JPEGImages</folder><filename>{escape(name)}</filename><size><width>{width}</width>"
            f"<height>{height}</height><depth>3</depth></size>{''.join(parts)}</annotation>\n"
        )
        stem = os.path.splitext(name)[0]
        _write(data.out / "Annotations" / f"{stem}.xml", text)
        lists[split].append(stem)
    for split, stems in lists.items():
        _write(data.out / "ImageSets" / "Main" / f"{split}.txt", "".join(f"{stem}\n" for stem in stems))
    return f"dataset=voc dataset.root={data.out} 'dataset.classes={_words(data.class_names)}'"


def _voc_object(name: str, box: Sequence[float]) -> str:
    x1, y1, x2, y2 = box
    corners = {"xmin": x1 + 1, "ymin": y1 + 1, "xmax": x2, "ymax": y2}
    inside = "".join(f"<{key}>{round(value, _DIGITS)}</{key}>" for key, value in corners.items())
    return f"<object><name>{escape(name)}</name><difficult>0</difficult><bndbox>{inside}</bndbox></object>"


def write_yolo(data: Converted) -> str:
    """images/SPLIT, labels/SPLIT and data.yaml; boxes, or outlines of one ring."""
    for split, index, samples, name in data.images(lambda split: f"images/{split}"):
        height, width = samples.image_size(index)
        objects = samples.annotation(index)
        shapes, lines = _rings(objects), list[str]()
        for row, (x1, y1, x2, y2) in enumerate(objects.boxes.tolist()):
            if shapes is None:
                numbers = [(x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height]
            elif len(shapes[row]) != 1:
                raise ConversionError(
                    f"'{samples.name(index)}', object {row + 1}: its outline has {len(shapes[row])} parts, and a line "
                    "of YOLO's form holds one. Expected outlines of one part"
                )
            else:
                sides = (width, height)
                numbers = [value / sides[i % 2] for i, value in enumerate(shapes[row][0])]
            lines.append(" ".join([str(int(objects.labels[row])), *(f"{number:.9g}" for number in numbers)]))
        _write(data.out / "labels" / split / f"{os.path.splitext(name)[0]}.txt", "".join(f"{line}\n" for line in lines))
    paths = "".join(f"{split}: images/{split}\n" for split in data.splits)
    _write(data.out / "data.yaml", f"path: .\n{paths}names: {_words(data.class_names)}\n")
    return f"dataset=yolo dataset.root={data.out}"


def write_masks(data: Converted) -> str:
    """images/SPLIT, and masks/SPLIT with the id of each pixel's class, 255 where it is ignored."""
    for split, index, samples, name in data.images(lambda split: f"images/{split}"):
        target = data.out / "masks" / split / f"{os.path.splitext(name)[0]}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(samples.mask(index).numpy()).save(target)
    return f"dataset=masks dataset.root={data.out} 'dataset.classes={_words(data.class_names)}' dataset.ignore=255"


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


FORMS: Mapping[str, Mapping[str, Callable[[Converted], str]]] = {
    "folder": {"label": write_folder},
    "coco": {"boxes": write_coco, "instances": write_coco},
    "voc": {"boxes": write_voc},
    "yolo": {"boxes": write_yolo, "instances": write_yolo},
    "masks": {"mask": write_masks},
}
"""By form, the kinds of target that it holds, each with its writer, which returns the words to read it with."""
