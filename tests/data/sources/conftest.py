"""Tiny data sets with boxes, in the forms of COCO, Pascal VOC and YOLO."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def write_xml() -> Callable[..., Path]:
    """One VOC file: ``write_xml(path, [("cat", (1, 1, 10, 10))])``; the size is width, height."""

    def write(path: Path, objects: list[Any], *, size: tuple[int, int] | None = (40, 30), extra: str = "") -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        marked = "".join(
            f"<object><name>{name}</name>{extra}<bndbox>"
            + "".join(
                f"<{key}>{value}</{key}>" for key, value in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
            )
            + "</bndbox></object>"
            for name, box in objects
        )
        written = f"<size><width>{size[0]}</width><height>{size[1]}</height></size>" if size else ""
        path.write_text(f"<annotation><filename>{path.stem}.jpg</filename>{written}{marked}</annotation>")
        return path

    return write


@pytest.fixture
def make_voc(tmp_path: Path, save_image, write_xml) -> Callable[..., Path]:
    """A VOC folder with ``count`` images 40 wide and 30 high, each with a cat, and a dog in every second."""

    def make(
        count: int = 10,
        *,
        annotations: str = "Annotations",
        images: str = "JPEGImages",
        lists: dict[str, list[int]] | None = None,
    ) -> Path:
        root = tmp_path / "voc"
        for index in range(count):
            save_image(root / images / f"{index:03}.jpg", size=(30, 40), seed=index)
            objects = [("cat", (2, 3, 20, 25))] + ([("dog", (11, 1, 40, 30))] if index % 2 else [])
            write_xml(root / annotations / f"{index:03}.xml", objects)
        for name, members in (lists or {}).items():
            file = root / "ImageSets" / "Main" / f"{name}.txt"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("".join(f"{index:03}\n" for index in members))
        return root

    return make


@pytest.fixture
def make_coco(tmp_path: Path, save_image) -> Callable[..., Path]:
    """A COCO folder; ``splits`` says how many images each has; categories have the ids 3, 7 and 90."""

    def make(splits: dict[str, int] | None = None, change: Callable[[dict[str, Any]], None] | None = None) -> Path:
        root = tmp_path / "coco"
        for split, count in (splits or {"train": 4, "val": 2}).items():
            content: dict[str, Any] = {
                "images": [],
                "annotations": [],
                "categories": [{"id": 90, "name": "brush"}, {"id": 3, "name": "car"}, {"id": 7, "name": "train"}],
            }
            for index in range(count):
                name = f"{index:012}.jpg"
                save_image(root / f"{split}2017" / name, size=(30, 40), seed=index)
                content["images"].append({"id": 100 + index, "file_name": name, "height": 30, "width": 40})
                for number, category in enumerate((7 if index == 2 else 3, 90)[: 1 + index % 2]):
                    content["annotations"].append(
                        {
                            "id": 10 * index + number,
                            "image_id": 100 + index,
                            "category_id": category,
                            "bbox": [2.5, 3, 10 + index, 12.25],
                            "area": 60.5,
                            "iscrowd": int(number == 1 and index != 3),
                            "segmentation": [[2.5, 3, 12.5, 3, 12.5, 15.25]],
                        }
                    )
            if change is not None and split == "train":
                change(content)
            file = root / "annotations" / f"instances_{split}2017.json"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(content))
        return root

    return make


@pytest.fixture
def make_yolo(tmp_path: Path, save_image) -> Callable[..., Path]:
    """A YOLO folder with images 40 wide and 30 high, a line ``class 0.5 0.5 0.25 0.5`` in each label file."""

    def make(
        splits: dict[str, int] | None = None,
        *,
        file: str = "data.yaml",
        names: str = "[cat, dog]",
        text: str | None = None,
    ) -> Path:
        root = tmp_path / "yolo"
        splits = splits or {"train": 6, "val": 2}
        for number, (split, count) in enumerate(splits.items()):
            (root / "labels" / split).mkdir(parents=True, exist_ok=True)
            for index in range(count):
                save_image(root / "images" / split / f"{split}{index}.png", size=(30, 40), seed=100 * number + index)
                line = f"{index % 2} 0.5 0.5 0.25 0.5\n"
                (root / "labels" / split / f"{split}{index}.txt").write_text(line)
        lines = [f"{split}: images/{split}" for split in splits]
        (root / file).write_text(text if text is not None else "\n".join([*lines, f"names: {names}"]))
        return root

    return make
