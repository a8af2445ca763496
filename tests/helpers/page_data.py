"""The data that the pages of docs/ speak of: small sets in each form, as their trees show them."""

import json
from pathlib import Path

from PIL import Image

CLASSES = ("cat", "dog")
SIZE = (48, 40)
BOX = (8, 8, 24, 20)  # left, top, width, height


def make_page_data(folder: Path, page: str) -> None:
    """Write what the commands of a page read into a folder."""
    _photos(folder / "photos")
    (folder / "mynet.yaml").write_text(_block(Path(__file__).parents[2] / "docs" / "own_parts.md"))
    if page == "data":
        for make in (_table, _coco, _voc, _yolo, _streets):
            make(folder)


def _image(path: Path, number: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", SIZE, ((60, 180)[number % 2], number * 5, 90)).save(path)


def _photos(folder: Path) -> None:
    for i in range(40):
        _image(folder / CLASSES[i % 2] / f"{i // 2 + 1:03d}.jpg", i)


def _table(folder: Path) -> None:
    for i in range(20):
        _image(folder / "table" / f"{i}.jpg", i)
    rows = [f"{i}.jpg,{CLASSES[i % 2]}" for i in range(20)]
    several = [f"{row};indoors" if i % 4 < 2 else row for i, row in enumerate(rows)]
    for name, lines in (("labels", rows), ("several", several)):
        (folder / "table" / f"{name}.csv").write_text("\n".join(["image,label", *lines]) + "\n")


def _coco(folder: Path) -> None:
    for split, count in (("train", 12), ("val", 4)):
        images = [{"id": i, "file_name": f"{i:012d}.jpg", "width": SIZE[0], "height": SIZE[1]} for i in range(count)]
        for image in images:
            _image(folder / "coco" / f"{split}2017" / image["file_name"], image["id"] + (20 if split == "val" else 0))
        annotations = [{"id": i, "image_id": i, "category_id": 1 + i % 2, "bbox": list(BOX), "area": BOX[2] * BOX[3],
                        "iscrowd": 0} for i in range(count)]  # fmt: skip
        categories = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
        file = folder / "coco" / "annotations" / f"instances_{split}2017.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))


def _voc(folder: Path) -> None:
    left, top, width, height = BOX
    for i in range(16):
        _image(folder / "voc" / "JPEGImages" / f"{i:04d}.jpg", i)
        xml = folder / "voc" / "Annotations" / f"{i:04d}.xml"
        xml.parent.mkdir(exist_ok=True)
        xml.write_text(
            f"<annotation><filename>{i:04d}.jpg</filename><size><width>{SIZE[0]}</width><height>{SIZE[1]}</height>"
            f"<depth>3</depth></size><object><name>{CLASSES[i % 2]}</name><bndbox><xmin>{left}</xmin>"
            f"<ymin>{top}</ymin><xmax>{left + width}</xmax><ymax>{top + height}</ymax></bndbox></object></annotation>"
        )


def _yolo(folder: Path) -> None:
    for split, count in (("train", 12), ("val", 4)):
        for i in range(count):
            _image(folder / "yolo" / "images" / split / f"{i:04d}.jpg", i + (20 if split == "val" else 0))
            label = folder / "yolo" / "labels" / split / f"{i:04d}.txt"
            label.parent.mkdir(parents=True, exist_ok=True)
            label.write_text(f"{i % 2} 0.5 0.5 0.2 0.3\n")
    (folder / "yolo" / "data.yaml").write_text("names: [cat, dog]\ntrain: images/train\nval: images/val\n")


def _streets(folder: Path) -> None:
    for split, count in (("train", 8), ("val", 4), ("test", 4)):
        for i in range(count):
            offset = {"train": 0, "val": 20, "test": 30}[split]
            _image(folder / "streets" / "images" / split / f"{i:04d}.jpg", i + offset)
            mask = Image.new("L", SIZE, 0)
            mask.paste(1, (BOX[0], BOX[1], BOX[0] + BOX[2], BOX[1] + BOX[3]))
            file = folder / "streets" / "masks" / split / f"{i:04d}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            mask.save(file)


def _block(page: Path) -> str:
    return page.read_text(encoding="utf-8").split("```yaml\n")[1].split("```")[0]
