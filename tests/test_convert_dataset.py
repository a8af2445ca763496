"""Data sets in other forms and back: boxes to a hundredth of a pixel, names exactly, originals untouched."""

import importlib
import json
import shutil

import numpy
import pytest

from tests.checking.test_box_faults import clean as coco
from tests.checking.test_folder_faults import _clean, _state
from tests.checking.test_mask_checks import clean as masks
from tests.checking.test_outline_checks import clean as outlines
from tests.helpers.paths import REPOSITORY
from visionkit.data.sources import read_source

__all__ = ["coco", "masks", "outlines"]


@pytest.fixture
def tool(monkeypatch):
    monkeypatch.syspath_prepend(str(REPOSITORY / "tools"))
    return importlib.import_module("convert_dataset")


def _read(settings, target="boxes"):
    """Name, boxes and class names of the objects of each image of each split."""
    source = read_source(settings).for_target(target)
    names, found = source.info().class_names, {}
    for split, samples in source.splits(seed=0).samples.items():
        for index in range(len(samples)):
            objects = samples.annotation(index)
            key = (split, samples.name(index).rpartition("/")[2])
            found[key] = (objects.boxes, [names[label] for label in objects.labels.tolist()], objects)
    return found


def _settings(form, root):
    return {"type": form, "root": str(root)}


@pytest.mark.parametrize("way", [("yolo", "coco"), ("voc", "coco"), ("yolo", "voc", "yolo", "coco")])
def test_boxes_stay_to_a_hundredth_of_a_pixel_and_names_exactly(tool, coco, tmp_path, way):
    root = shutil.copytree(coco, tmp_path / "start")
    for split in ("train", "val"):
        file = root / "annotations" / f"{split}.json"
        content = json.loads(file.read_text())
        content["categories"] = [{"id": 1, "name": "Great crested grebe, ♀"}, {"id": 2, "name": "o'dog & <cat>"}]
        file.write_text(json.dumps(content))
    before, state, form, at = _read(_settings("coco", root)), _state(root), "coco", root
    for number, new in enumerate(way):
        out = tmp_path / f"{number}-{new}"
        assert tool.main([f"dataset={form}", f"dataset.root={at}", "--to", new, "--out", str(out)]) == 0
        form, at = new, out
    after = _read(_settings("coco", at))
    assert after.keys() == before.keys()
    for key, (boxes, names, _) in before.items():
        numpy.testing.assert_allclose(after[key][0], boxes, atol=0.01)
        assert after[key][1] == names
    assert _state(root) == state


def test_outlines_go_to_yolo_and_back(tool, outlines, tmp_path):
    words = ["task=instance", "dataset=coco", f"dataset.root={outlines}"]
    assert tool.main([*words, "--to", "yolo", "--out", str(tmp_path / "yolo")]) == 0
    words = ["task=instance", "dataset=yolo", f"dataset.root={tmp_path / 'yolo'}"]
    assert tool.main([*words, "--to", "coco", "--out", str(tmp_path / "coco")]) == 0
    before, after = (_read(_settings("coco", root), "instances") for root in (outlines, tmp_path / "coco"))
    assert before.keys() == after.keys()
    for key, (_, _, objects) in before.items():
        numpy.testing.assert_allclose(after[key][2].segmentations.values, objects.segmentations.values, atol=0.01)


def test_masks_and_folders_are_written_as_they_are_read(tool, masks, tmp_path):
    words = ["dataset=masks", f"dataset.root={masks}", "dataset.classes=[ground,disc,bar]"]
    assert tool.main([*words, "--to", "masks", "--out", str(tmp_path / "masks")]) == 0
    settings = {"classes": ["ground", "disc", "bar"], "image_size": 64}
    one, other = (
        read_source({**_settings("masks", root), **settings}).for_target("mask").splits(seed=0).samples["train"]
        for root in (masks, tmp_path / "masks")
    )
    assert all((one.mask(index) == other.mask(index)).all() for index in range(len(one)))
    photos = _clean(tmp_path / "photos")
    assert (
        tool.main(["dataset=folder", f"dataset.root={photos}", "--to", "folder", "--out", str(tmp_path / "again")]) == 0
    )
    assert sorted(path.relative_to(photos) for path in photos.rglob("*.jpg")) == sorted(
        path.relative_to(tmp_path / "again") for path in (tmp_path / "again").rglob("*.jpg")
    )


def test_what_a_form_cannot_hold_is_told_and_nothing_is_left(tool, coco, outlines, tmp_path, capsys):
    words = ["dataset=coco", f"dataset.root={coco}"]
    assert tool.main([*words, "--to", "folder", "--out", str(tmp_path / "out")]) == 2
    assert "--to folder: it holds no boxes, which task=detect reads. Try: coco, voc, yolo" in capsys.readouterr().err
    assert tool.main([*words, "--to", "yolo", "--out", str(coco / "out")]) == 2
    assert "lies in the data set, to which nothing is written" in capsys.readouterr().err
    root = shutil.copytree(outlines, tmp_path / "rings")
    file = root / "annotations" / "val.json"
    content = json.loads(file.read_text())
    content["annotations"][3]["segmentation"].append([1, 1, 9, 1, 9, 9])
    file.write_text(json.dumps(content))
    words = ["task=instance", "dataset=coco", f"dataset.root={root}"]
    assert tool.main([*words, "--to", "yolo", "--out", str(tmp_path / "out")]) == 2
    assert "its outline has 2 parts, and a line of YOLO's form holds one" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rings"]
