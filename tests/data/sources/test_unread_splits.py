"""Folders named after splits that the annotation files of COCO, VOC and YOLO say nothing of."""

import re

import pytest

from visionkit.data.sources import parse_source
from visionkit.data.sources.split_names import FILL_VAL
from visionkit.errors import UserError


@pytest.fixture
def make_set(request, settings, tmp_path):
    """A data set in one of the forms, six images in a folder of train and no other split, and its source."""

    def make(form):
        if form == "voc":
            root = request.getfixturevalue("make_voc")(6, annotations="train", images="train")
        elif form == "coco":
            root = request.getfixturevalue("make_coco")({"train": 6})
        else:
            root = request.getfixturevalue("make_yolo")({"train": 6})
        return root, parse_source(settings(form, root=str(root), image_size=32))

    return make


VAL_FOLDERS = [("voc", "val"), ("coco", "val2017"), ("coco", "valid"), ("yolo", "images/val")]


@pytest.mark.parametrize(("form", "folder"), VAL_FOLDERS)
def test_an_empty_folder_of_val_is_an_error_that_says_what_to_do(make_set, form, folder):
    root, source = make_set(form)
    (root / folder / "inner").mkdir(parents=True)
    with pytest.raises(UserError, match=rf"no images in '.*/{folder}'. Expected images .*{re.escape(FILL_VAL)}"):
        source.check()


@pytest.mark.parametrize(("form", "folder"), VAL_FOLDERS)
def test_images_of_a_val_that_nothing_describes_are_said_and_val_is_held_out(make_set, save_image, form, folder):
    root, source = make_set(form)
    save_image(root / folder / "x.png")
    splits = source.splits(seed=0)
    assert {name: len(samples) for name, samples in splits.samples.items()} == {"train": 5, "val": 1}
    code = "split-unnamed" if form == "yolo" else "image-unannotated"
    assert [(f.code, f.count, f.places) for f in splits.findings] == [(code, 1, (f"{folder}/x.png",))]


@pytest.mark.parametrize(("form", "folder"), [("voc", "test"), ("coco", "test2017"), ("yolo", "images/test")])
def test_an_empty_folder_of_test_is_said(make_set, form, folder):
    root, source = make_set(form)
    (root / folder).mkdir(parents=True)
    splits = source.splits(seed=0)
    assert set(splits.samples) == {"train", "val"}
    assert [(f.code, f.places, f.values) for f in splits.findings] == [("split-empty", (folder,), {"split": "test"})]


def test_a_folder_is_no_doubt_where_the_files_are_named_by_the_user(make_coco, settings):
    root = make_coco({"train": 6})
    (root / "val2017").mkdir()
    annotations = {"train": "annotations/instances_train2017.json", "val": None, "test": None}
    source = parse_source(settings("coco", root=str(root), image_size=32, annotations=annotations))
    assert source.splits(seed=0).findings == []


@pytest.mark.parametrize("listed", ["", "missing\n"])
def test_a_list_of_test_without_an_image_is_said(make_voc, settings, listed):
    root = make_voc(4, lists={"train": [0, 1], "val": [2]})
    (root / "ImageSets/Main/test.txt").write_text(listed)
    splits = parse_source(settings("voc", root=str(root), image_size=32)).splits(seed=0)
    assert {name: len(samples) for name, samples in splits.samples.items()} == {"train": 2, "val": 1}
    assert [f.places for f in splits.findings if f.code == "split-left-out"] == [("test: none of its images is left",)]


def test_an_empty_list_of_val_says_what_to_do(make_voc, settings):
    root = make_voc(4, lists={"train": [0, 1], "val": []})
    with pytest.raises(UserError, match=rf"no image is left of val in '.*'. {re.escape(FILL_VAL)}"):
        parse_source(settings("voc", root=str(root), image_size=32)).check()
