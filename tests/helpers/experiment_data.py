"""Tiny data sets in the forms that `conf/experiment/` reads: a few small images each, random but for the seed."""

import hashlib
import json
import pickle
import struct

import numpy
from PIL import Image

SIDE = 48
BOXES = ((6, 8, 24, 20), (26, 20, 16, 22))  # left, top, width, height; their classes are 0 and 1
COUNTS = {"train": 4, "val": 2, "test": 2}


def make_data(dataset, folder, monkeypatch):
    """The root of a data set of this name, written into a folder."""
    _MAKERS[dataset](folder, monkeypatch)
    return folder


def _pixels(seed, *shape):
    return numpy.random.RandomState(seed).randint(0, 256, shape).astype(numpy.uint8)


def _image(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(_pixels(seed, SIDE, SIDE, 3)).save(path)


def _mask(path):
    mask = Image.new("P", (SIDE, SIDE), 0)
    for number, (left, top, width, height) in enumerate(BOXES):
        mask.paste(number + 1, (left, top, left + width, top + height))
    path.parent.mkdir(parents=True, exist_ok=True)
    mask.save(path)


def _cifar(cls):
    """CIFAR's files, whose checksums torchvision is told."""

    def make(folder, monkeypatch):
        import torchvision

        source = getattr(torchvision.datasets, cls)
        home = folder / source.base_folder
        home.mkdir(parents=True)
        key = "fine_labels" if cls == "CIFAR100" else "labels"

        def write(name, content):
            data = pickle.dumps(content)
            (home / name).write_bytes(data)
            return [name, hashlib.md5(data).hexdigest()]

        for attribute in ("train_list", "test_list"):
            files = [
                write(name, {"data": _pixels(number, 20, 3072), key: [index % 10 for index in range(20)]})
                for number, (name, _) in enumerate(getattr(source, attribute))
            ]
            monkeypatch.setattr(source, attribute, files)
        _, md5 = write(source.meta["filename"], {source.meta["key"]: ["x"] * 10})
        monkeypatch.setattr(source, "meta", {**source.meta, "md5": md5})

    return make


def _mnist(folder, monkeypatch):
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for prefix in ("train", "t10k"):
        header = struct.pack(">iiii", 2051, 20, 28, 28)
        (raw / f"{prefix}-images-idx3-ubyte").write_bytes(header + _pixels(0, 20, 28, 28).tobytes())
        labels = bytes(index % 10 for index in range(20))
        (raw / f"{prefix}-labels-idx1-ubyte").write_bytes(struct.pack(">ii", 2049, 20) + labels)


def _imagenet(folder, monkeypatch):
    for split in ("train", "val"):
        for number, name in enumerate(("n01440764", "n01443537")):
            for image in range(COUNTS[split]):
                _image(folder / split / name / f"{image}.JPEG", 100 * number + image + 10 * (split == "val"))


def _coco(folder, monkeypatch):
    (folder / "annotations").mkdir(parents=True)
    for split in ("train", "val"):
        images, annotations = [], []
        for number in range(COUNTS[split]):
            name = f"{split}{number}.jpg"
            _image(folder / f"{split}2017" / name, number + 10 * (split == "val"))
            images.append({"id": number, "file_name": name, "width": SIDE, "height": SIDE})
            for label, (left, top, width, height) in enumerate(BOXES):
                right, bottom = left + width, top + height
                annotations.append(
                    {"id": len(annotations), "image_id": number, "category_id": label + 1, "iscrowd": 0,
                     "bbox": [left, top, width, height], "area": width * height,
                     "segmentation": [[left, top, right, top, right, bottom, left, bottom]]}
                )  # fmt: skip
        categories = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
        document = {"images": images, "annotations": annotations, "categories": categories}
        (folder / "annotations" / f"instances_{split}2017.json").write_text(json.dumps(document))


def _voc(folder, monkeypatch):
    objects = "".join(
        f"<object><name>{name}</name><difficult>0</difficult><bndbox><xmin>{left + 1}</xmin><ymin>{top + 1}</ymin>"
        f"<xmax>{left + width}</xmax><ymax>{top + height}</ymax></bndbox></object>"
        for name, (left, top, width, height) in zip(("cat", "dog"), BOXES, strict=True)
    )
    names = {split: [f"{split}{number}" for number in range(COUNTS[split])] for split in ("train", "val")}
    for kind in ("Main", "Segmentation"):
        for split, stems in names.items():
            file = folder / "ImageSets" / kind / f"{split}.txt"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("\n".join(stems) + "\n")
    for number, stem in enumerate([*names["train"], *names["val"]]):
        _image(folder / "JPEGImages" / f"{stem}.jpg", number)
        _mask(folder / "SegmentationClass" / f"{stem}.png")
        xml = folder / "Annotations" / f"{stem}.xml"
        xml.parent.mkdir(exist_ok=True)
        size = f"<size><width>{SIDE}</width><height>{SIDE}</height><depth>3</depth></size>"
        xml.write_text(f"<annotation><filename>{stem}.jpg</filename>{size}{objects}</annotation>")


def _masks(folder, monkeypatch):
    for offset, (split, count) in enumerate(COUNTS.items()):
        for number in range(count):
            _image(folder / "images" / split / f"{split}{number}.png", number + 10 * offset)
            _mask(folder / "masks" / split / f"{split}{number}.png")


_MAKERS = {
    "cifar10": _cifar("CIFAR10"), "cifar100": _cifar("CIFAR100"), "mnist": _mnist, "imagenet": _imagenet,
    "coco": _coco, "voc": _voc, "masks": _masks,
}  # fmt: skip
