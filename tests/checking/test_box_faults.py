"""Faults that are planted in boxes and classes of COCO files are named by their code; the clean twin has none."""

import json
import shutil

import numpy
import pytest

import visionkit as vk
from tests.checking.test_pixel_scan import picture

WORDS = ("dataset=coco", "backbone=resnet18", "head=fcos_small", "dataset.image_size=128")
HEIGHT, WIDTH, NUM_IMAGES = 96, 128, {"train": 24, "val": 12}


def _annotations(split, start):
    """Three objects on each image, apart from each other."""
    random = numpy.random.default_rng(start)
    images, annotations = [], []
    for number in range(NUM_IMAGES[split]):
        image = start + number + 1
        images.append({"id": image, "file_name": f"{image}.jpg", "height": HEIGHT, "width": WIDTH})
        for place in range(3):
            width, height = random.integers(16, 36, 2).tolist()
            x, y = 2 + 42 * place + int(random.integers(0, 4)), int(random.integers(2, HEIGHT - height - 2))
            annotation = {"id": 10 * image + place, "image_id": image, "category_id": 1 + place % 2, "iscrowd": 0}
            annotations.append({**annotation, "bbox": [x, y, width, height], "area": width * height})
    categories = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    return {"images": images, "annotations": annotations, "categories": categories}


def write_coco(folder, change=lambda content: content):
    """Images and annotations of train and val, changed as said; the folder."""
    (folder / "annotations").mkdir()
    for start, split in ((0, "train"), (100, "val")):
        (folder / split).mkdir()
        content = change(_annotations(split, start))
        (folder / "annotations" / f"{split}.json").write_text(json.dumps(content))
        for image in content["images"]:
            picture(image["id"], HEIGHT, WIDTH).save(folder / split / image["file_name"])
    return folder


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    return write_coco(tmp_path_factory.mktemp("coco"))


def _change(folder, change, split="train"):
    file = folder / "annotations" / f"{split}.json"
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def _add(content, **changes):
    first = content["annotations"][0]
    content["annotations"].append({**first, "id": 99_000 + len(content["annotations"]), **changes})


def _shifted(content, **changes):
    x, y, width, height = content["annotations"][0]["bbox"]
    _add(content, bbox=[x + 0.5, y, width, height], **changes)


def _each(content, bbox):
    for annotation in content["annotations"]:
        annotation["bbox"] = bbox(*annotation["bbox"])


def _many(content, count):
    for number in range(count):
        _add(content, bbox=[2 + number % 60, 4 + number // 60 * 3, 20, 18])


def _remove(content, keep):
    content["annotations"] = [annotation for annotation in content["annotations"] if keep(annotation)]


FAULTS = {
    "boxes-alike": _shifted,
    "boxes-two-classes": lambda c: _shifted(c, category_id=2),
    "box-whole-image": lambda c: _add(c, bbox=[0, 0, WIDTH, HEIGHT]),
    "boxes-out-often": lambda c: _each(c, lambda x, y, w, h: [x + 70, y + 50, w, h]),
    "object-tiny": lambda c: _add(c, bbox=[60, 60, 1.2, 1.2]),
    "objects-unmatched": lambda c: _each(c, lambda x, y, w, h: [x, y, 2.2, 2.2]),
    "count-odd": lambda c: _many(c, 90),
    "objects-over-limit": lambda c: _many(c, 300),
    "images-background": lambda c: _each(c, lambda x, y, w, h: [x, y, 8, 8]),
    "images-empty": lambda c: _remove(c, lambda a: a["image_id"] < 8),
    "class-rare": lambda c: _remove(c, lambda a: a["category_id"] == 1 or a["image_id"] < 6),
    "classes-unequal": lambda c: _remove(c, lambda a: a["category_id"] == 1 or a["image_id"] < 2),
    "class-unused": lambda c: c["categories"].append({"id": 3, "name": "eel"}),
}


def _check(folder, **options):
    return vk.check(*WORDS, f"dataset.root={folder}", **options)


@pytest.mark.parametrize("deep", [False, True])
def test_clean_boxes_have_no_error_and_no_warning(clean, deep):
    report = _check(clean, deep=deep)
    assert (report.counts["error"], report.counts["warning"]) == (0, 0), [f.note for f in report.findings]
    assert report.summary["splits"]["train"]["objects"] == 72
    assert report.summary["splits"]["train"]["per_class"] == [48, 24]


@pytest.mark.parametrize("code", FAULTS)
def test_a_planted_fault_of_boxes_is_named(clean, tmp_path, code):
    folder = shutil.copytree(clean, tmp_path / "data")
    _change(folder, FAULTS[code])
    if code == "class-unused":
        _change(folder, FAULTS[code], split="val")
    found = _check(folder).of(code)
    assert found is not None
    assert found.count >= 1
    assert not any(place.startswith("/") for place in found.places)


def test_classes_of_one_split_alone_are_named_on_both_sides(clean, tmp_path):
    folder = shutil.copytree(clean, tmp_path / "data")
    _change(folder, lambda content: _remove(content, lambda a: a["category_id"] == 1))
    _change(folder, lambda content: _remove(content, lambda a: a["category_id"] == 2), split="val")
    report = _check(folder)
    assert report.of("class-only-in-train").places == ("cat",)
    assert report.of("class-only-elsewhere") is not None or report.of("class-untrained").places == ("dog",)


def test_objects_that_no_level_takes_are_told_with_sides_and_what_to_type(clean, tmp_path):
    folder = shutil.copytree(clean, tmp_path / "data")
    _change(folder, FAULTS["objects-unmatched"])
    found = _check(folder).of("objects-unmatched")
    assert found.severity == "warning"
    assert "of 72, of sides 2.2 to 2.2 pixels at dataset.image_size=128" in found.text
    assert "head.neck.finest_stride=2" in found.remedy
    assert found.places[0].startswith("train/")
