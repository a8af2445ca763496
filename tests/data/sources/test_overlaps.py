import os
import shutil

import numpy
import pytest

from visionkit.data.sources import overlaps, parse_source
from visionkit.data.sources.overlaps import content_ids
from visionkit.errors import UserError


@pytest.fixture
def make_folder(settings):
    return lambda root, **changes: parse_source(settings("folder", root=str(root), image_size=8, **changes))


@pytest.fixture
def make_yolo_source(settings):
    return lambda root, **changes: parse_source(settings("yolo", root=str(root), image_size=8, **changes))


@pytest.fixture
def divided(make_tree):
    return make_tree({"train/a": 6, "train/b": 6, "val/a": 2, "val/b": 2, "test/a": 2, "test/b": 2})


COPIES = {"copied": shutil.copy, "hard link": os.link, "link": os.symlink}


@pytest.mark.parametrize("copy", COPIES.values(), ids=COPIES)
def test_a_training_image_in_test_is_an_error_unless_it_is_allowed(make_folder, divided, copy):
    copy(divided / "train/a/003.png", divided / "test/a/other.png")
    message = r"1 file\(s\) of test that are in train too: test/a/other.png and train/a/003.png. Remove .*=true$"
    with pytest.raises(UserError, match=message):
        make_folder(divided).splits(seed=0)
    allowing = make_folder(divided, allow_overlap=True)
    splits = allowing.splits(seed=0)
    assert len(splits.samples["test"]) == 5
    assert splits.notes == [
        "1 file(s) of test that are in train too, as dataset.allow_overlap=true allows: "
        "test/a/other.png and train/a/003.png"
    ]
    with pytest.raises(UserError, match=r"as dataset.allow_overlap=true allows.*strict=false"):
        allowing.splits(seed=0, strict=True)


def test_an_image_of_val_in_test_is_an_error_too(make_folder, divided):
    shutil.copy(divided / "val/b/000.png", divided / "test/b/other.png")
    with pytest.raises(UserError, match=r"1 file\(s\) of test that are in val too"):
        make_folder(divided).splits(seed=0)


def test_copies_within_a_given_split_are_none_of_its_business(make_folder, divided):
    shutil.copy(divided / "train/a/000.png", divided / "train/a/copy.png")
    assert make_folder(divided).splits(seed=0).notes == []


def test_test_is_compared_with_train_before_val_is_held_out(make_folder, make_tree):
    root = make_tree({"train/a": 6, "train/b": 6, "test/a": 2, "test/b": 2})
    shutil.copy(root / "train/a/003.png", root / "test/a/other.png")
    with pytest.raises(UserError, match=r"1 file\(s\) of test that are in train too"):
        make_folder(root).splits(seed=0)


def test_of_many_files_links_are_found_and_it_is_said_that_contents_are_not(make_folder, divided, monkeypatch):
    monkeypatch.setattr(overlaps, "MAX_COMPARED", 10)
    shutil.copy(divided / "train/a/003.png", divided / "test/a/other.png")
    assert make_folder(divided).splits(seed=0).notes == [
        "21 files, too many to compare their contents: only names and links were looked at"
    ]
    os.symlink(divided / "train/a/001.png", divided / "test/a/link.png")
    with pytest.raises(UserError, match=r"1 file\(s\) of test that are in train too: test/a/link.png and train/a/001"):
        make_folder(divided).splits(seed=0)


def test_where_contents_are_not_compared_it_is_said_and_links_are_an_error_nevertheless(make_folder, divided):
    shutil.copy(divided / "train/a/003.png", divided / "test/a/other.png")
    source = make_folder(divided).without_contents()
    assert source == make_folder(divided, compare_contents=False)
    assert source.splits(seed=0).notes == [
        "21 file(s) whose contents are not compared under debug=fast or dataset.compare_contents=false: only names and "
        "links were looked at"
    ]
    os.link(divided / "train/a/001.png", divided / "test/a/hard_link.png")
    with pytest.raises(UserError, match=r"1 file\(s\) of test that are in train too: test/a/hard_link.png and train/a"):
        source.splits(seed=0)


def test_where_contents_are_not_compared_no_file_is_read(make_folder, make_tree, monkeypatch):
    monkeypatch.setattr(overlaps, "_digest", lambda *_: pytest.fail("a file is read"))
    splits = make_folder(make_tree({"a": 10, "b": 10}), compare_contents=False).splits(seed=0)
    assert {split: len(samples) for split, samples in splits.samples.items()} == {"train": 14, "val": 3, "test": 3}


def test_a_source_of_boxes_stays_one_of_its_target_where_contents_are_not_compared(make_yolo_source, make_yolo):
    source = make_yolo_source(make_yolo()).for_target("mask").without_contents()
    assert (source.target, source.compare_contents) == ("mask", False)


def test_of_many_files_in_annotation_files_links_are_found_too(make_yolo_source, make_yolo, monkeypatch):
    monkeypatch.setattr(overlaps, "MAX_COMPARED", 2)
    root = make_yolo()
    (root / "images/val/val0.png").unlink()
    os.link(root / "images/train/train3.png", root / "images/val/val0.png")
    with pytest.raises(UserError, match=r"images/val/val0.png and images/train/train3.png"):
        make_yolo_source(root).check()


def test_one_folder_for_train_and_val_may_be_allowed(make_yolo_source, make_yolo):
    root = make_yolo(text="train: images/train\nval: images/train\nnames: [cat, dog]")
    source = make_yolo_source(root, allow_overlap=True)
    assert source.check() is None
    assert {split: len(samples) for split, samples in source.splits(seed=0).samples.items()} == {"train": 6, "val": 6}


def test_files_are_the_same_by_their_contents_alone(tmp_path):
    long, other_start = b"1" * 10_000, b"2" + b"1" * 9_999
    contents = {"a": b"x", "b": b"x", "c": b"y", "empty": b"", "also_empty": b"", "long": long, "other": other_start}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "long_copy").write_bytes(long)
    names = [*contents, "long_copy", "missing", "a"]
    ids = content_ids(tmp_path, names, compare_contents=True).tolist()
    assert ids == [0, 0, 2, 3, 4, 5, 6, 5, 8, 0]


def test_only_files_of_another_splits_size_are_read(tmp_path, monkeypatch):
    for number, content in enumerate([b"x", b"x", b"yy", b"yy", b"zzz"]):
        (tmp_path / str(number)).write_bytes(content)
    read = []
    monkeypatch.setattr(overlaps, "_digest", lambda path, *_: read.append(os.path.basename(path)) or path)
    content_ids(tmp_path, list("01234"), compare_contents=True, split_ids=numpy.array([0, 0, 0, 1, 1]))
    assert set(read) == {b"2", b"3"}


def test_copies_of_a_file_are_held_out_together_and_said(make_folder, make_tree):
    root = make_tree({"a": 10, "b": 10})
    for index in range(8):
        shutil.copy(root / "a/000.png", root / f"a/copy{index}.png")
    for seed in range(3):
        splits = make_folder(root).splits(seed=seed)
        holding = [s for s, names in splits.saved.items() if any("copy" in name or "a/000" in name for name in names)]
        assert len(holding) == 1
        assert splits.notes[0].startswith("8 image(s) that are identical to another, kept in one split: a/copy0.png")


def test_a_division_that_was_saved_before_is_restored_with_its_copies(make_folder, make_tree):
    root = make_tree({"a": 4, "b": 4})
    shutil.copy(root / "a/000.png", root / "a/copy.png")
    names = [f"{label}/{index:03}.png" for label in "ab" for index in range(4)]
    saved = {"train": names, "val": ["a/copy.png"]}
    splits = make_folder(root).splits(seed=0, saved=saved)
    assert splits.saved == saved
    assert len(splits.samples["val"]) == 1


def test_a_class_of_copies_alone_cannot_be_divided_but_is_trained_on(make_folder, make_tree):
    root = make_tree({"a": 10, "b": 1})
    for index in range(4):
        shutil.copy(root / "b/000.png", root / f"b/copy{index}.png")
    splits = make_folder(root).splits(seed=0)
    assert splits.samples["train"].labels.bincount().tolist() == [8, 5]
    assert "1 class(es) without an image in val: b" in splits.notes


def test_that_contents_are_not_compared_is_said_once_where_val_is_held_out(make_folder, make_tree, monkeypatch):
    monkeypatch.setattr(overlaps, "MAX_COMPARED", 5)
    notes = make_folder(make_tree({"train/a": 6, "train/b": 6, "test/a": 2, "test/b": 2})).splits(seed=0).notes
    assert [note.split(",")[0] for note in notes if "too many to compare" in note] == ["16 files"]


def test_contents_are_read_once_for_the_runs_of_a_sweep(make_folder, divided, monkeypatch):
    shutil.copy(divided / "train/a/003.png", divided / "test/a/other.png")
    opened, read = [], open

    def counted(path, mode):
        opened.append(path)
        return read(path, mode)

    monkeypatch.setattr(overlaps, "open", counted, raising=False)
    for seed in range(2):
        make_folder(divided, allow_overlap=True).splits(seed=seed)
    assert opened
    assert len(opened) == len(set(opened))
