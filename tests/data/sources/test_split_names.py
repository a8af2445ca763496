import json

import pytest

from visionkit.data.sources import parse_source
from visionkit.data.sources.split_names import (
    FILL_VAL,
    SPLIT_NAMES,
    comes_divided,
    find_split_folders,
    folder_split,
    other_folders,
    split_of,
    sub_folders,
)
from visionkit.errors import UserError


@pytest.mark.parametrize("split", SPLIT_NAMES)
def test_every_spelling_is_known_in_any_case(split):
    for name in SPLIT_NAMES[split]:
        assert split_of(name) == split_of(name.upper()) == split_of(name.title()) == split
        assert split_of(name.replace("_", "-")) == split_of(name.replace("_", " ")) == split
    assert split_of("cat") is None
    assert split_of("trains") is None


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train2017", "train"), ("TRAIN_2017", "train"), ("images-test", "test"), ("ValImages", "val"),
        ("training_set_2", "train"), ("train_station", None), ("test_tube", None), ("images", None), ("2017", None),
        ("train-val-images", None), ("valves", None), ("trainé", None),
    ],
)  # fmt: skip
def test_a_folder_is_a_split_with_a_number_or_a_common_word_beside_the_name(name, split):
    assert folder_split(name) == split


def make(root, *folders):
    for folder in folders:
        (root / folder).mkdir(parents=True)
    return root


def test_split_folders_are_found_by_any_spelling(tmp_path):
    assert find_split_folders(make(tmp_path, "Testing/a", "Training/a", "extra")) == {
        "train": "Training", "test": "Testing",
    }  # fmt: skip


def test_a_folder_within_one_of_its_own_name_is_the_split(tmp_path):
    make(tmp_path, "seg_train/seg_train/street", "seg_test/seg_test/street", "val/cat", "val/dog")
    assert find_split_folders(tmp_path) == {
        "train": "seg_train/seg_train", "val": "val", "test": "seg_test/seg_test",
    }  # fmt: skip


def test_two_folders_for_one_split_are_an_error(tmp_path):
    with pytest.raises(UserError, match=r"two folders for one split, val and valid. Keep one"):
        find_split_folders(make(tmp_path, "train", "val", "valid"))


def test_two_splits_of_one_folder_are_an_error(tmp_path):
    make(tmp_path, "train")
    (tmp_path / "test").symlink_to(tmp_path / "train")
    with pytest.raises(UserError, match=r"test' are one and the same folder, but test must not overlap"):
        find_split_folders(tmp_path)


def test_a_link_to_a_folder_above_is_none(tmp_path):
    make(tmp_path, "root/cat", "store")
    for name, target in (("up", ".."), ("self", "."), ("dog", "../store"), ("circle", "circle")):
        (tmp_path / "root" / name).symlink_to(target)
    assert sub_folders(tmp_path / "root") == ["cat", "dog"]


def test_folders_of_systems_and_tools_are_none(tmp_path):
    assert sub_folders(make(tmp_path, "cat", ".git", "@eaDir", "__MACOSX", "#recycle")) == ["cat"]


def test_trainval_is_train_only_where_there_is_no_train(tmp_path):
    assert find_split_folders(make(tmp_path / "a", "trainval", "test")) == {"train": "trainval", "test": "test"}
    both = make(tmp_path / "b", "trainval/x", "Train", "val", "notes", "more/x")
    found = find_split_folders(both)
    assert found == {"train": "Train", "val": "val"}
    assert other_folders(both, found.values()) == ["more", "trainval"]


def test_a_doubled_folder_with_images_beside_it_is_read_as_it_is(tmp_path):
    make(tmp_path, "train/train/cat")
    (tmp_path / "train" / "photo.jpg").write_bytes(b"x")
    assert find_split_folders(tmp_path) == {"train": "train"}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["images/train/a.jpg", "images/train/x/b.jpg"], True),
        (["Training/a.jpg"], True),
        (["images/a.jpg", "images/b.jpg"], False),
        (["images/train/a.jpg", "images/val/b.jpg"], False),
        (["images/train1.jpg", "images/train2.jpg"], False),
        (["/home/train/a.jpg", "b.jpg"], False),
    ],
)
def test_a_set_came_divided_if_all_files_lie_in_a_folder_of_a_split(names, expected):
    assert comes_divided({"train": names}, is_named=False) == expected


def test_a_set_came_divided_if_it_says_so_or_has_two_splits():
    assert comes_divided({"train": ["a.jpg"]}, is_named=True)
    assert comes_divided({"train": ["a.jpg"], "test": ["b.jpg"]}, is_named=False)


@pytest.fixture
def empty_val(request, tmp_path, save_image):
    """The root of a set of some form whose val has no image."""
    root, form = tmp_path / "set", request.param
    images = {"folder": "train/a", "masks": "images/train", "yolo": "images/train", "coco": "train"}[form]
    for number in range(3):
        save_image(root / images / f"{number}.png", seed=number)
        save_image(root / "masks/train" / f"{number}.png", mode="L") if form == "masks" else None
    for folder in {"folder": ["val"], "masks": ["images/val", "masks/val"], "yolo": ["images/val"]}.get(form, []):
        (root / folder).mkdir(parents=True)
    if form == "yolo":
        (root / "data.yaml").write_text("names: [a]\ntrain: images/train\nval: images/val\n")
        (root / "labels/train").mkdir(parents=True)
        (root / "labels/train/0.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    if form == "coco":
        (root / "val").mkdir()
        for split, count in (("train", 3), ("val", 0)):
            images = [{"id": n, "file_name": f"{n}.png", "width": 8, "height": 8} for n in range(count)]
            boxes = [{"id": n, "image_id": n, "category_id": 1, "bbox": [1, 1, 4, 4]} for n in range(count)]
            content = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "a"}]}
            (root / split / "_annotations.coco.json").write_text(json.dumps(content))
    return form, root


@pytest.mark.parametrize("empty_val", ["folder", "masks", "yolo", "coco"], indirect=True)
def test_an_empty_val_says_to_fill_or_to_remove_it(empty_val, settings):
    form, root = empty_val
    with pytest.raises(UserError) as raised:
        parse_source(settings(form, root=str(root), image_size=8)).splits(seed=0)
    assert str(raised.value).endswith(FILL_VAL)
