"""Every form by one rule: a set that names its splits gives images of train to val alone, another is divided in 3."""

import json

import numpy
import pytest
from PIL import Image

from visionkit.data.sources import parse_source

SIZE = (30, 40)
XML = (
    "<annotation><size><width>40</width><height>30</height></size><object><name>cat</name><bndbox><xmin>2</xmin>"
    "<ymin>2</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object></annotation>"
)


@pytest.fixture
def save_images(tmp_path, save_image):
    """Save so many images in a folder of the data set; their names."""

    def save(folder, count, *, start=0):
        names = [f"{index:03}" for index in range(start, start + count)]
        for index, name in enumerate(names, start):
            save_image(tmp_path / folder / f"{name}.png", size=SIZE, seed=index)
        return names

    return save


@pytest.fixture
def save_masks(tmp_path):
    def save(folder, names, *, suffix=""):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        for name in names:
            pixels = numpy.indices(SIZE).sum(axis=0) % 2 + 7
            Image.fromarray(pixels.astype(numpy.uint8)).save(tmp_path / folder / f"{name}{suffix}.png")

    return save


@pytest.fixture
def write(tmp_path):
    def write_text(name, text):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    return write_text


@pytest.fixture
def writers(tmp_path, save_images, save_masks, write):
    """Of each form, a function that writes so many images into a folder, relative to the root."""

    def folder(split, count):
        for label in ("a", "b"):
            save_images(f"{split or 'photos'}/{label}", count // 2)

    def masks(split, count):
        save_masks(f"masks/{split}", save_images(f"images/{split}", count))

    def yolo(split, count):
        for name in save_images(f"images/{split}", count):
            write(f"labels/{split}/{name}.txt", "0 0.5 0.5 0.2 0.2")
        write("classes.txt", "cat")

    def yolo_file(split, count):
        yolo(split, count)
        write("data.yaml", f"names: [cat]\n{split}: images/{split}")

    def coco(split, count):
        names = save_images(split or "pictures", count)
        images = [{"id": i, "file_name": f"{n}.png", "height": 30, "width": 40} for i, n in enumerate(names)]
        objects = [{"id": i, "image_id": i, "category_id": 1, "bbox": [2, 2, 9, 9]} for i in range(count)]
        content = {"images": images, "annotations": objects, "categories": [{"id": 1, "name": "cat"}]}
        write(f"annotations/instances_{split}2017.json" if split else "annotations.json", json.dumps(content))

    def voc(split, count):
        for name in save_images(split or "JPEGImages", count):
            write(f"{split or 'Annotations'}/{name}.xml", XML)

    def voc_lists(split, count):
        names = save_images("JPEGImages", count, start=50 * (split == "test"))
        for name in names:
            write(f"Annotations/{name}.xml", XML)
        if split:
            write(f"ImageSets/Main/{split}.txt", "\n".join(names))

    def table(split, count):
        rows = [f"{split or 'pictures'}/{n}.png,{i % 2}" for i, n in enumerate(save_images(split or "pictures", count))]
        write("train.csv" if split else "labels.csv", "\n".join(["image,label", *rows]))

    def table_column(split, count):
        names = save_images(f"pictures/{split}", count)
        rows = [f"pictures/{split}/{n}.png,{i % 2},{split}" for i, n in enumerate(names)]
        write("labels.csv", "\n".join(["image,label,split", *rows]))

    def cityscapes(split, count):
        names = save_images(f"leftImg8bit/{split}/aachen", count)
        for name in names:
            image = tmp_path / f"leftImg8bit/{split}/aachen/{name}.png"
            image.rename(image.with_name(f"{name}_leftImg8bit.png"))
        save_masks(f"gtFine/{split}/aachen", names, suffix="_gtFine_labelIds")

    return {
        "folder": folder, "masks": masks, "yolo": yolo, "yolo with a file": yolo_file, "coco": coco, "voc": voc,
        "voc with lists": voc_lists, "table": table, "table with a column": table_column, "cityscapes": cityscapes,
    }  # fmt: skip


@pytest.fixture
def read_splits(settings, tmp_path):
    def read(form):
        name = form.split()[0]
        return parse_source(settings(name, root=str(tmp_path), image_size=8)).splits(seed=0)

    return read


def sizes(splits):
    return {split: len(samples) for split, samples in splits.samples.items()}


FORMS = (
    "folder", "masks", "yolo", "yolo with a file", "coco", "voc", "voc with lists", "table", "table with a column",
    "cityscapes",
)  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_a_set_of_train_alone_gives_a_val_and_no_test(writers, read_splits, form):
    writers[form]("train", 20)
    splits = read_splits(form)
    assert sizes(splits) == {"train": 17, "val": 3}
    assert "val held out of train: 3 of 20" in splits.notes


@pytest.mark.parametrize("form", ["folder", "masks", "yolo", "coco", "voc", "voc with lists"])
def test_a_test_split_of_a_set_without_val_stays_as_it_is(writers, read_splits, form):
    writers[form]("train", 20)
    writers[form]("test", 6)
    splits = read_splits(form)
    assert sizes(splits) == {"train": 17, "val": 3, "test": 6}
    assert "val held out of train: 3 of 20" in splits.notes


@pytest.mark.parametrize("form", ["folder", "masks", "yolo", "coco", "voc", "voc with lists", "table"])
def test_a_set_that_came_undivided_is_divided_in_three(writers, read_splits, form):
    writers[form]("", 20)
    splits = read_splits(form)
    assert sizes(splits) == {"train": 14, "val": 3, "test": 3}
    assert {"val held out of all images: 3 of 20", "test held out of all images: 3 of 20"} <= set(splits.notes)
