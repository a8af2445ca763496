import os
import time

import pytest

from visionkit.data.sources.folder.layout import check_class_names, class_folders, count_images, find_layout
from visionkit.errors import UserError


def test_split_folders_are_told_from_classes(make_tree):
    root = make_tree({"train/a": 1, "val/a": 1, "test/a": 1})
    assert find_layout(root).split_folders == {"train": "train", "val": "val", "test": "test"}


def test_other_words_for_validation_are_understood(make_tree):
    assert find_layout(make_tree({"train/a": 1, "valid/a": 1})).split_folders == {"train": "train", "val": "valid"}


def test_a_class_may_be_called_train(make_tree):
    assert find_layout(make_tree({"car": 1, "train": 1, "plane": 1})).split_folders == {"train": ""}


def test_names_of_splits_are_those_of_all_data_sets_in_any_case(make_tree):
    layout = find_layout(make_tree({"Training/a": 1, "Dev/a": 1, "TESTING/a": 1, "trainval/b": 1, "extra/c": 1}))
    assert layout.split_folders == {"train": "Training", "val": "Dev", "test": "TESTING"}
    assert layout.other_folders == ["extra", "trainval"]


def test_trainval_alone_is_train(make_tree):
    assert find_layout(make_tree({"trainval/a": 1, "test/a": 1})).split_folders["train"] == "trainval"


def test_doubled_folders_of_splits_are_read_as_one(make_tree):
    layout = find_layout(make_tree({"seg_train/seg_train/a": 1, "seg_test/seg_test/a": 1, "seg_pred/seg_pred": 2}))
    assert layout.split_folders == {"train": "seg_train/seg_train", "test": "seg_test/seg_test"}
    assert layout.other_folders == ["seg_pred"]
    assert layout.class_folder("test", "a") == b"seg_test/seg_test/a/"


def test_a_folder_that_holds_one_folder_alone_is_that_folder(make_tree, save_image):
    root = make_tree({"archive/train/a": 1, "archive/test/a": 1})
    assert find_layout(root).root == root / "archive"
    assert find_layout(make_tree({"archive/a": 1, "archive/b": 1}, name="flat")).split_folders == {"train": ""}
    single_class = make_tree({"cat": 2}, name="single")
    assert find_layout(single_class).root == single_class
    assert find_layout(make_tree({"a/b/train/c": 1, "a/b/val/c": 1}, name="deep")).root.name == "b"
    loose = make_tree({"archive/a": 1, "archive/b": 1}, name="loose")
    save_image(loose / "loose.png")
    assert find_layout(loose).root == loose


def test_an_empty_folder_beside_the_splits_is_not_worth_a_word(make_tree):
    assert find_layout(make_tree({"train/a": 1, "test/a": 1, "models": 0})).other_folders == []


def test_two_folders_for_validation_are_refused(make_tree):
    with pytest.raises(UserError, match=r"has two folders for one split, val and valid. Keep one"):
        find_layout(make_tree({"train/a": 1, "val/a": 1, "valid/a": 1}))


def test_splits_without_train_are_refused(make_tree):
    with pytest.raises(UserError, match=r"has val and test but no 'train' folder. Expected train/CLASS/"):
        find_layout(make_tree({"val/a": 1, "test/a": 1}))


def test_splits_that_are_one_folder_are_refused(make_tree):
    root = make_tree({"train/a": 1})
    os.symlink(root / "train", root / "test")
    with pytest.raises(
        UserError, match=r"train' and '.*test' are one and the same folder.*must not overlap.*allow_overlap=true"
    ):
        find_layout(root)


def test_splits_that_are_one_folder_may_be_allowed(make_tree):
    root = make_tree({"train/a": 1})
    os.symlink(root / "train", root / "test")
    assert find_layout(root, allow_overlap=True).split_folders == {"train": "train", "test": "test"}


def test_classes_are_sorted_and_their_images_counted_up_to_a_limit(make_tree):
    root = make_tree({"b": 3, "a": 1, "empty": 0, ".hidden": 1, "@eaDir/thumb": 1})
    (root / "empty" / "notes.txt").write_text("x")
    layout = find_layout(root)
    assert count_images(layout, "train", limit=2) == {"a": 1, "b": 2, "empty": 0}


def test_images_in_no_class_folder_are_counted(tmp_path, save_image):
    for index in range(3):
        save_image(tmp_path / f"{index}.png")
    with pytest.raises(
        UserError, match=r"one sub-folder of images per class; found 3 images that lie in no sub-folder"
    ):
        class_folders(tmp_path)


def test_a_class_that_train_lacks_gets_the_nearest_one(tmp_path):
    with pytest.raises(UserError, match=r"has classes that train lacks: dogs. Did you mean 'dog'"):
        check_class_names(["cat", "dogs"], ["cat", "dog"], folder=tmp_path)


@pytest.mark.parametrize(
    ("train", "val"),
    [("train2017", "val2017"), ("train1", "valid1"), ("train_data", "val_data"), ("TrainImages", "ValImages")],
)
def test_names_of_splits_may_have_a_number_or_a_common_word_beside_them(make_tree, train, val):
    layout = find_layout(make_tree({f"{train}/cat": 1, f"{train}/dog": 1, f"{val}/cat": 1, f"{val}/dog": 1}))
    assert layout.split_folders == {"train": train, "val": val}


def test_a_folder_named_exactly_after_a_split_comes_before_others(make_tree):
    layout = find_layout(make_tree({"train/a": 1, "train_data/a": 1, "val2/a": 1}))
    assert layout.split_folders == {"train": "train", "val": "val2"}
    assert layout.other_folders == ["train_data"]


@pytest.mark.parametrize(
    "tree",
    [
        {"cat/train": 2, "cat/test": 1, "dog/train": 2, "dog/test": 1},
        {"bottle/train/good": 2, "bottle/test/broken": 1, "bottle/ground_truth/broken": 1, "cable/train/good": 2},
        {"bus": 3, "car/test": 1, "car/train": 1},
    ],
)
def test_splits_inside_of_classes_are_refused(make_tree, tree):
    with pytest.raises(UserError, match=r"such as (\w+)/test and \1/train, so that.*such as train/\1. Move them"):
        find_layout(make_tree(tree))


def test_a_class_may_have_a_folder_that_is_called_like_one_split(make_tree):
    assert find_layout(make_tree({"vehicle/train": 1, "vehicle/bus": 1, "animal": 1})).split_folders == {"train": ""}


@pytest.mark.parametrize("parts", [["JPEGImages"], ["images", "labels"]])
def test_folders_of_parts_of_a_data_set_are_no_classes(make_tree, parts):
    tree = {f"{year}/{part}": 1 for year in ("VOC2007", "VOC2012") for part in parts}
    with pytest.raises(UserError, match=rf"VOC2007' is no folder of a class: it holds {' and '.join(parts)}"):
        find_layout(make_tree(tree))


def test_images_of_a_class_may_lie_in_a_folder_images(make_tree):
    assert find_layout(make_tree({"n01/images": 1, "n02/images": 1})).split_folders == {"train": ""}


@pytest.mark.parametrize("folder", ["test", "test/test", "test/unknown"])
def test_a_test_folder_without_classes_is_left_out_and_said(make_tree, folder):
    layout = find_layout(make_tree({"train/a": 1, "train/b": 1, folder: 3}))
    assert layout.split_folders == {"train": "train"}
    assert [(finding.code, finding.count) for finding in layout.findings] == [("test-no-class", 3)]


@pytest.mark.parametrize("folder", ["test", "test/a"])
def test_a_test_folder_without_images_is_left_out_and_said(make_tree, folder):
    layout = find_layout(make_tree({"train/a": 1, "train/b": 1, folder: 0}))
    assert layout.split_folders == {"train": "train"}
    assert [finding.text for finding in layout.findings] == [
        "1 folder(s) of test without an image left out, so that there is no such split"
    ]


def test_images_beside_the_splits_are_said(make_tree, save_image):
    root = make_tree({"train/a": 1, "val/a": 1})
    save_image(root / "loose.png")
    assert [finding.note for finding in find_layout(root).findings] == [
        "1 image(s) beside the folders of splits left out: loose.png"
    ]


def test_many_classes_are_compared_in_time_in_proportion_to_their_number(tmp_path):
    classes = [f"n{number:08}" for number in range(20_000)]  # as many as ImageNet-21k has
    start = time.process_time()
    check_class_names(classes, classes, folder=tmp_path)
    assert time.process_time() - start < 1  # 0.002 s; with the square 5 s
