"""Groups and folds, for a folder of classes and for data sets of annotation files."""

import os

import pytest

from visionkit.data.sources import parse_source
from visionkit.errors import UserError


@pytest.fixture
def make_source(settings):
    return lambda root, name="folder", **changes: parse_source(settings(name, root=str(root), image_size=8, **changes))


@pytest.fixture
def patients(tmp_path, save_image):
    """12 patients of 4 photos, 6 of each class."""
    for patient in range(12):
        for photo in range(4):
            save_image(tmp_path / "photos" / "ab"[patient % 2] / f"patient{patient}_{photo}.png")
    return tmp_path / "photos"


def patients_of(names) -> set[str]:
    return {os.path.basename(name).split("_")[0] for name in names}


@pytest.mark.parametrize("changes", [{}, {"test_fraction": 0}, {"fold": 2}, {"fold": 0, "folds": 3}])
def test_a_group_is_in_one_split_and_each_split_has_all_classes(make_source, patients, changes):
    splits = make_source(patients, group_by=r"(patient\d+)_", **changes).splits(seed=0)
    groups = [patients_of(names) for names in splits.saved.values()]
    assert sum(map(len, groups)) == len(set.union(*groups)) == 12
    assert all(len(samples.labels.unique()) == 2 for samples in splits.samples.values())
    assert splits.notes[0] == "12 groups by dataset.group_by, each in one split"


def test_a_group_may_be_a_folder(make_source, make_tree):
    root = make_tree({f"{label}/{film}": 3 for label in "ab" for film in range(4)})
    saved = make_source(root, group_by="folder").splits(seed=0).saved
    films = [{os.path.dirname(name) for name in names} for names in saved.values()]
    assert sum(map(len, films)) == 8


def test_groups_of_annotated_images_are_kept_too(make_source, make_voc):
    source = make_source(make_voc(20), "voc", group_by=r"(\d)\.jpg")
    saved = source.splits(seed=0).saved
    digits = [{name[-5] for name in names} for names in saved.values()]
    assert sum(map(len, digits)) == 10


def test_names_that_the_pattern_does_not_match_are_said(make_source, patients, save_image):
    save_image(patients / "a" / "other.png")
    source = make_source(patients, group_by=r"(patient\d+)_")
    assert "1 image(s) whose path dataset.group_by does not match, each a group of its own: a/other.png" in (
        source.splits(seed=0).notes
    )
    with pytest.raises(UserError, match=r"does not match, each a group of its own: a/other.png. Correct the pattern"):
        source.splits(seed=0, strict=True)


def test_a_pattern_that_matches_nothing_is_an_error(make_source, patients):
    with pytest.raises(UserError, match=r"'\(film\\d\)' matches none of the 48 paths, such as 'a/patient0_0.png'"):
        make_source(patients, group_by=r"(film\d)").splits(seed=0)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [("(a", "is no regular expression"), ("patient", "has 0 groups in paren"), ("(a)(b)", "has 2 groups in paren")],
)
def test_a_pattern_needs_one_group(make_source, patients, pattern, message):
    with pytest.raises(UserError, match=rf"dataset.group_by: .*{message}.*Try: 'dataset.group_by="):
        make_source(patients, group_by=pattern)


def test_too_few_groups_to_divide_are_an_error(make_source, make_tree):
    with pytest.raises(
        UserError, match=r"has 2 group\(s\) by dataset.group_by, too few to divide in train and test an"
    ):
        make_source(make_tree({"a": 9, "b": 9}), group_by="folder").splits(seed=0)


def test_a_class_of_one_group_that_is_val_in_a_fold_is_an_error(make_source, make_tree):
    root = make_tree({"a/0": 4, "a/1": 4, "b/0": 4})
    folds = []
    for fold in range(2):
        try:
            make_source(root, group_by="folder", fold=fold, folds=2).splits(seed=0)
        except UserError as error:
            folds.append(str(error))
    assert len(folds) == 1
    assert "no image of the class 'b' is left for train" in folds[0]


@pytest.mark.parametrize("form", ["folder", "table"])
def test_few_patients_a_class_leave_no_split_empty(make_source, tmp_path, save_image, form):
    """By hand: two patients of each of two classes; train keeps one of each, val and test have one each."""
    lines = ["image,label"]
    for patient, count in enumerate([11, 4, 12, 19]):
        for index in range(count):
            name = f"{'ab'[patient % 2]}/p{patient}_{index}.png"
            save_image(tmp_path / name, seed=len(lines))
            lines.append(f"{name},{name[0]}")
    if form == "table":
        (tmp_path / "t.csv").write_text("\n".join(lines))
    samples = make_source(tmp_path, form, group_by=r"(p\d+)_").splits(seed=0).samples
    found = {split: sorted({s.name(i).rpartition("/")[2][:2] for i in range(len(s))}) for split, s in samples.items()}
    assert sorted(sum(found.values(), [])) == ["p0", "p1", "p2", "p3"]  # noqa: RUF017
    assert {split: len(patients) for split, patients in found.items()} == {"train": 2, "val": 1, "test": 1}
    assert sorted(set(samples["train"].labels.tolist())) == [0, 1]


@pytest.mark.parametrize("form", ["folder", "table"])
def test_classes_of_one_group_each_are_counted_in_the_error(make_source, make_tree, form):
    root = make_tree(dict.fromkeys("abcde", 8))
    if form == "table":
        lines = [f"{path.relative_to(root)},{path.parent.name}" for path in sorted(root.glob("*/*.png"))]
        (root / "t.csv").write_text("\n".join(["image,label", *lines]))
    with pytest.raises(UserError, match=r"no image of the class .* is left for train.*'[a-e]' 1, '[a-e]' 1\. Expected"):
        make_source(root, form, group_by="folder").splits(seed=0)


def test_the_last_of_thirteen_folds_of_24_images_has_one(make_source, make_tree):
    samples = make_source(make_tree({"a": 12, "b": 12}), fold=12, folds=13).splits(seed=0).samples
    assert {split: len(images) for split, images in samples.items()} == {"train": 23, "val": 1}


def test_a_group_in_two_given_splits_is_an_error_unless_it_is_allowed(make_source, tmp_path, save_image):
    for split, patient in (("train", 0), ("train", 1), ("val", 1), ("val", 2)):
        for label in "ab":
            save_image(tmp_path / split / label / f"patient{patient}_{split}.png")
    changes = {"group_by": r"(patient\d+)_"}
    with pytest.raises(UserError, match=r"2 image\(s\) of val whose group by dataset.group_by is in train too"):
        make_source(tmp_path, **changes).splits(seed=0)
    (note,) = make_source(tmp_path, allow_overlap=True, **changes).splits(seed=0).notes
    assert note.startswith("2 image(s) of val whose group by dataset.group_by is in train too, as dataset.allow_over")


def test_each_image_is_in_the_val_of_one_fold_stratified(make_source, make_tree):
    root = make_tree({"a": 10, "b": 20})
    folds = [make_source(root, fold=fold).splits(seed=0) for fold in range(5)]
    assert sorted(name for fold in folds for name in fold.saved["val"]) == sorted(
        name for names in folds[0].saved.values() for name in names
    )
    for fold, splits in enumerate(folds):
        assert set(splits.samples) == {"train", "val"}
        assert splits.samples["val"].labels.bincount().tolist() == [2, 4]
        assert splits.notes == [f"val is fold {fold} of 0 to 4 of all images: 6 of 30"]


def test_the_test_split_of_a_data_set_stays_with_folds(make_source, make_tree):
    splits = make_source(make_tree({"train/a": 5, "train/b": 5, "test/a": 2, "test/b": 2}), fold=4).splits(seed=0)
    assert {split: len(samples) for split, samples in splits.samples.items()} == {"train": 8, "val": 2, "test": 4}


def test_folds_of_annotated_images(make_source, make_voc):
    root = make_voc(10)
    val = [make_source(root, "voc", fold=fold, folds=2).splits(seed=0).saved["val"] for fold in range(2)]
    assert sorted(sum(val, [])) == [f"JPEGImages/{index:03}.jpg" for index in range(10)]  # noqa: RUF017


@pytest.mark.parametrize("name", ["folder", "yolo"])
def test_a_fold_of_a_set_with_a_val_split_is_an_error(make_source, make_tree, make_yolo, name):
    root = make_tree({"train/a": 5, "train/b": 5, "val/a": 2, "val/b": 2}) if name == "folder" else make_yolo()
    with pytest.raises(UserError, match=r"has a val split of its own, which is not poured together with train"):
        make_source(root, name, fold=0).check()


def test_a_fold_beyond_their_number_is_an_error(make_source, tmp_path):
    with pytest.raises(UserError, match=r"dataset.fold: found 5, but there are 5 folds. Expected 0 to 4.*folds=6"):
        make_source(tmp_path, fold=5)


def test_too_few_images_for_the_folds_are_an_error(make_source, make_tree):
    with pytest.raises(UserError, match=r"has 6 image\(s\), too few to divide in 8 folds. Expected at least 8"):
        make_source(make_tree({"a": 3, "b": 3}), fold=0, folds=8).splits(seed=0)
