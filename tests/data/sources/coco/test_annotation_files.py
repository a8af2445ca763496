import json
import shutil

import pytest

from visionkit.data.sources import parse_source
from visionkit.data.sources.coco.annotation_files import advise_files
from visionkit.errors import UserError


@pytest.fixture
def make_source(settings):
    return lambda root, **changes: parse_source(settings("coco", root=str(root), image_size=32, **changes))


def move(root, name):
    """Move each split's JSON file; ``name`` holds the split in braces."""
    for split in ("train", "val"):
        file = root / name.format(split)
        file.parent.mkdir(parents=True, exist_ok=True)
        (root / f"annotations/instances_{split}2017.json").rename(file)


@pytest.mark.parametrize(
    "name", ["annotations/person_keypoints_{}2017.json", "labels/{}.json", "{}2017/annotations/instances.json"]
)
def test_files_that_are_not_looked_for_are_named_with_what_to_type(make_source, make_coco, name):
    root = make_coco()
    move(root, name)
    train, val = name.format("train"), name.format("val")
    words = (
        rf"no JSON file in .* Is it '{train}'\? Try: dataset.annotations.train={train} dataset.annotations.val={val}"
    )
    with pytest.raises(UserError, match=words):
        make_source(root).check()
    assert make_source(root, annotations={"train": train, "val": val}).check() is None


def test_a_root_one_folder_too_high_is_named(make_source, make_coco, tmp_path):
    root = make_coco()
    shutil.move(root, tmp_path / "outer" / "coco")
    words = r"'coco/annotations/instances_train2017.json' lies a folder deeper. Try: dataset.root=.*/outer/coco$"
    with pytest.raises(UserError, match=words):
        make_source(tmp_path / "outer").check()


def test_captions_alone_hold_no_boxes_and_other_json_files_are_passed_over(make_coco):
    root = make_coco()
    move(root, "annotations/captions_{}2017.json")
    assert advise_files(root) == " 'annotations/captions_train2017.json' holds no boxes."
    for file in (root / "annotations").iterdir():
        file.write_text('{"version": 1}')
    assert advise_files(root) == ""


def test_images_in_a_folder_below_that_of_their_split_are_where_they_belong(make_source, make_coco):
    root = make_coco()
    for split in ("train", "val"):
        (root / f"{split}2017").rename(root / "moved")
        (root / split).mkdir()
        (root / "moved").rename(root / split / "images")
    move(root, "{}/_annotations.json")
    assert make_source(root).splits(seed=0).notes == []


def test_a_test_file_without_annotations_makes_no_test_split_and_is_said(make_source, make_coco):
    root = make_coco({"train": 4, "val": 2, "test": 3})
    for split in ("test", "val"):
        file = root / f"annotations/instances_{split}2017.json"
        content = json.loads(file.read_text())
        del content["annotations"]
        file.write_text(json.dumps(content))
        if split == "test":
            splits = make_source(root).splits(seed=0)
            assert {name: len(samples) for name, samples in splits.samples.items()} == {"train": 4, "val": 2}
            assert splits.notes == [
                "1 split(s) without images or annotations left out: "
                "test: annotations/instances_test2017.json has no annotations"
            ]
    with pytest.raises(UserError, match=r"instances_val2017.json' has no list 'annotations'"):
        make_source(root).check()
