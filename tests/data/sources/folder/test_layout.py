import os

import pytest

from visionkit.data.sources.folder.layout import check_class_names, find_layout, list_classes
from visionkit.errors import UserError


def test_split_folders_are_told_from_classes(make_tree):
    root = make_tree({"train/a": 1, "val/a": 1, "test/a": 1})
    assert find_layout(root).split_folders == {"train": "train", "val": "val", "test": "test"}


def test_other_words_for_validation_are_understood(make_tree):
    assert find_layout(make_tree({"train/a": 1, "valid/a": 1})).split_folders == {"train": "train", "val": "valid"}


def test_a_class_may_be_called_train(make_tree):
    assert find_layout(make_tree({"car": 1, "train": 1, "plane": 1})).split_folders == {"train": ""}


def test_files_are_listed_relative_to_the_root_and_sorted(make_tree):
    layout = find_layout(make_tree({"train/b": 2, "train/b/inner": 1, "train/a": 1}))
    assert layout.list_files("train", "b") == ["train/b/000.png", "train/b/001.png", "train/b/inner/000.png"]
    assert len(layout.list_files("train", "b", limit=2)) == 2


def test_two_folders_for_validation_are_refused(make_tree):
    with pytest.raises(UserError, match=r"has two folders for one split, val and valid. Keep one"):
        find_layout(make_tree({"train/a": 1, "val/a": 1, "valid/a": 1}))


def test_splits_without_train_are_refused(make_tree):
    with pytest.raises(UserError, match=r"has val and test but no 'train' folder. Expected train/CLASS/"):
        find_layout(make_tree({"val/a": 1, "test/a": 1}))


def test_splits_that_are_one_folder_are_refused(make_tree):
    root = make_tree({"train/a": 1})
    os.symlink(root / "train", root / "test")
    with pytest.raises(UserError, match=r"test' and '.*train' are one and the same folder.*must not overlap"):
        find_layout(root)


def test_classes_are_sorted_and_those_without_images_are_set_apart(make_tree):
    root = make_tree({"b": 1, "a": 1, "empty": 0, ".hidden": 1})
    (root / "empty" / "notes.txt").write_text("x")
    assert list_classes(root, strict=False) == (["a", "b"], ["empty"])


def test_an_empty_class_folder_is_an_error_when_strict(make_tree):
    with pytest.raises(UserError, match=r"no images in the class folder '.*empty'.*strict=false"):
        list_classes(make_tree({"a": 1, "empty": 0}), strict=True)


def test_images_in_no_class_folder_are_counted(tmp_path, save_image):
    for index in range(3):
        save_image(tmp_path / f"{index}.png")
    with pytest.raises(
        UserError, match=r"one sub-folder of images per class; found 3 images that lie in no sub-folder"
    ):
        list_classes(tmp_path, strict=False)


def test_a_class_that_train_lacks_gets_the_nearest_one(tmp_path):
    with pytest.raises(UserError, match=r"has classes that train lacks: dogs. Did you mean 'dog'"):
        check_class_names(["cat", "dogs"], ["cat", "dog"], folder=tmp_path)
