"""The label file of each image: where it may lie, in any case, and what is said of those that are missing."""

import pytest

from visionkit.data.findings import CATALOGUE
from visionkit.data.sources import parse_source
from visionkit.data.sources.yolo.label_files import LabelFiles
from visionkit.data.sources.yolo.paths import FolderListings
from visionkit.errors import UserError


@pytest.mark.parametrize(
    ("image", "label"),
    [
        ("images/train/a.jpg", "labels/train/a.txt"),
        ("images/a.b.jpg", "labels/a.b.txt"),
        ("train/images/a.jpg", "train/labels/a.TXT"),
        ("Images/Train/a.JPG", "Labels/train/A.Txt"),
        ("IMAGES/a.jpg", "labels/a.txt"),
        ("JPEGImages/a.jpg", "labels/a.txt"),
        ("train/a.jpg", "train/a.txt"),
        ("train/a.jpg", "train/Labels/a.txt"),
        ("images/images/a.jpg", "labels/images/a.txt"),
        ("images/a.jpg", "images/a.TXT"),
    ],
)
def test_a_label_file_is_found_in_any_case(tmp_path, image, label):
    for name in (image, label):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert LabelFiles(FolderListings()).find(str(tmp_path / image)) == str(tmp_path / label)


def test_of_two_files_the_one_of_the_same_spelling_counts(tmp_path):
    for name in ("a.jpg", "A.jpg", "a.txt", "A.txt"):
        (tmp_path / name).touch()
    label_files = LabelFiles(FolderListings())
    found = [label_files.find(str(tmp_path / name)) for name in ("a.jpg", "A.jpg")]
    assert found == [str(tmp_path / "a.txt"), str(tmp_path / "A.txt")]


def test_notes_and_class_names_are_no_orphans(tmp_path):
    for name in ("a.jpg", "a.txt", "b.txt", "classes.txt", "README.roboflow.txt", "_darknet.labels", "._a.txt"):
        (tmp_path / name).touch()
    label_files = LabelFiles(FolderListings())
    label_files.find(str(tmp_path / "a.jpg"))
    assert label_files.orphans() == [str(tmp_path / "b.txt")]


@pytest.fixture
def make_source(settings):
    return lambda root, **changes: parse_source(settings("yolo", root=str(root), image_size=32, **changes))


def test_label_files_of_any_ending_are_read(make_source, make_yolo):
    root = make_yolo()
    for file in (root / "labels/train").iterdir():
        file.rename(file.with_suffix(".TXT"))
    (root / "labels").rename(root / "Labels")
    samples = make_source(root).splits(seed=0).samples["train"]
    assert samples.annotations.objects.labels.tolist() == [0, 1] * 3


@pytest.mark.parametrize("missing", [1, 2, 3, 5])
def test_how_many_images_have_no_label_file_is_always_said(make_source, make_yolo, missing):
    code = "labels-mostly-missing" if missing >= 3 else "image-no-labels"
    root = make_yolo()
    for index in range(missing):
        (root / f"labels/train/train{index}.txt").unlink()
    splits = make_source(root).splits(seed=0)
    finding = splits.findings[0]
    assert (finding.code, finding.count, finding.values) == (code, missing, {"split": "train"})
    assert finding.places[0] == f"{root}/images/train/train0.png"
    assert splits.notes[:1] == [finding.note]
    assert len(splits.notes) == (2 if missing == 5 else 1)  # then no cat is left
    assert CATALOGUE["image-no-labels"].severity == "note"
    if code == "labels-mostly-missing":
        with pytest.raises(UserError, match=rf"{missing} image\(s\) of train, half of it or more, without a label"):
            make_source(root).check(strict=True)


def test_no_label_file_at_all_is_an_error(make_source, make_yolo):
    root = make_yolo()
    (root / "labels").rename(root / "anno")
    with pytest.raises(
        UserError, match=r"none of the 8 images has a label file; '.*train0.png' has no 'train0.txt' in"
    ):
        make_source(root).check()
