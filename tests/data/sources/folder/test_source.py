import json
import os
from pathlib import Path

import pytest

from visionkit.data.image_files import scan_images
from visionkit.data.sources import parse_source
from visionkit.errors import UserError


def names(samples) -> list[str]:
    return [samples.name(index) for index in range(len(samples))]


def sizes(splits) -> dict[str, int]:
    return {name: len(samples) for name, samples in splits.samples.items()}


@pytest.fixture
def make_source(settings):
    return lambda root, **changes: parse_source(settings("folder", root=str(root), image_size=8, **changes))


def test_given_splits_are_taken_as_they_are(make_source, make_tree):
    root = make_tree({"train/a": 3, "train/b": 2, "val/a": 1, "val/b": 1, "test/b": 2})
    splits = make_source(root).splits(seed=0)
    assert sizes(splits) == {"train": 5, "val": 2, "test": 2}
    assert splits.samples["test"].labels.tolist() == [1, 1]
    assert splits.samples["train"].labels.tolist() == [0, 0, 0, 1, 1]
    assert names(splits.samples["val"]) == [str(root / "val/a/000.png"), str(root / "val/b/000.png")]
    assert splits.saved is None


def test_without_validation_it_is_held_out_of_train(make_source, make_tree):
    splits = make_source(make_tree({"train/a": 12, "train/b": 8, "test/a": 1, "test/b": 1})).splits(seed=0)
    assert sizes(splits) == {"train": 17, "val": 3, "test": 2}
    assert splits.notes == ["val held out of train: 3 of 20"]
    assert set(splits.saved) == {"train", "val"}
    assert all("test" not in name for name in splits.saved["val"])


def test_train_and_validation_alone_make_no_test_split(make_source, make_tree):
    root = make_tree({"train/a": 3, "train/b": 3, "val/a": 1, "val/b": 1})
    assert sizes(make_source(root).splits(seed=0)) == {"train": 6, "val": 2}


def test_a_single_tree_is_divided_and_the_division_saved(make_source, make_tree):
    splits = make_source(make_tree({"a": 20, "b": 40})).splits(seed=0)
    assert sizes(splits) == {"train": 42, "val": 9, "test": 9}
    everything = [name for part in splits.saved.values() for name in part]
    assert len(set(everything)) == 60
    assert everything[0].startswith("a/")
    assert splits.samples["val"].labels.bincount().tolist() == [3, 6]
    assert splits.notes == ["test held out of all images: 9 of 60", "val held out of all images: 9 of 60"]


def test_a_fraction_of_zero_makes_no_test_split(make_source, make_tree):
    assert set(make_source(make_tree({"a": 4, "b": 4}), test_fraction=0).splits(seed=0).samples) == {"train", "val"}


def test_the_division_follows_the_runs_seed_or_its_own(make_source, make_tree):
    root = make_tree({"a": 20, "b": 20})
    first, second = (make_source(root).splits(seed=seed).saved for seed in (0, 1))
    assert first != second
    assert make_source(root, split_seed=1).splits(seed=0).saved == second


def test_a_saved_division_is_made_again_whatever_the_seed(make_source, make_tree):
    source = make_source(make_tree({"a": 20, "b": 20}))
    first = source.splits(seed=0)
    again = source.splits(seed=5, saved=first.saved)
    for split in ("train", "val", "test"):
        assert names(first.samples[split]) == names(again.samples[split])
        assert first.samples[split].labels.tolist() == again.samples[split].labels.tolist()


def test_files_newer_than_the_saved_division_are_left_out_and_counted(make_source, make_tree, save_image):
    root = make_tree({"a": 20, "b": 20})
    source = make_source(root)
    saved = source.splits(seed=0).saved
    save_image(root / "a" / "new.png")
    again = source.splits(seed=0, saved=saved)
    assert sum(sizes(again).values()) == 40
    assert "1 file(s) newer than the saved division left out" in again.notes


def test_a_saved_division_that_names_files_which_are_gone_is_an_error(make_source, make_tree):
    root = make_tree({"a": 20, "b": 20})
    source = make_source(root)
    saved = source.splits(seed=0).saved
    (root / saved["train"][0]).unlink()
    with pytest.raises(UserError, match=rf"names 1 file\(s\) that are no longer in .*'{saved['train'][0]}'. Put them"):
        source.splits(seed=0, saved=saved)


def test_a_saved_division_whose_parts_overlap_is_an_error(make_source, make_tree):
    source = make_source(make_tree({"a": 20, "b": 20}))
    saved = source.splits(seed=0).saved
    saved["val"].append(saved["train"][0])
    with pytest.raises(UserError, match=r"lists 'a/.*' more than once, but splits must not overlap"):
        source.splits(seed=0, saved=saved)


def test_a_saved_division_of_another_form_is_an_error(make_source, make_tree):
    with pytest.raises(
        UserError, match=r"should list the files of train and val; found x. Remove the file splits.json"
    ):
        make_source(make_tree({"a": 20, "b": 20})).splits(seed=0, saved={"x": []})


def test_class_names_are_the_folders_with_images(make_source, make_tree):
    source = make_source(make_tree({"train/dog": 3, "train/cat": 3, "train/empty": 0, "val/cat": 1}))
    assert source.info().class_names == ("cat", "dog")
    assert source.splits(seed=0).notes == [
        "1 class folder(s) without images dropped: train/empty",
        "1 class(es) without an image in val: dog",
    ]


def test_an_empty_class_folder_is_an_error_when_strict(make_source, make_tree):
    source = make_source(make_tree({"train/dog": 3, "train/cat": 3, "train/empty": 0, "val/cat": 1}))
    assert source.check() is None
    for call in (source.check, lambda strict: source.splits(seed=0, strict=strict)):
        with pytest.raises(UserError, match=r"1 class folder\(s\) without images dropped: train/empty. Fill"):
            call(strict=True)


def test_fewer_than_two_classes_is_an_error(make_source, make_tree):
    with pytest.raises(UserError, match=r"has 1 class folder\(s\) with images \(a\); at least 2 are needed"):
        make_source(make_tree({"a": 5, "b": 0})).check()


@pytest.mark.parametrize("split", ["val", "test"])
def test_a_class_that_train_lacks_is_an_error(make_source, make_tree, split):
    root = make_tree({"train/a": 3, "train/b": 3, f"{split}/a": 1, f"{split}/c": 1})
    with pytest.raises(UserError, match=rf"{split}' has classes that train lacks: c"):
        make_source(root).check()


def test_a_val_folder_without_images_is_an_error(make_source, make_tree):
    with pytest.raises(UserError, match=r"no images in '.*val'. Fill it, or remove it"):
        make_source(make_tree({"train/a": 3, "train/b": 3, "val/a": 0})).check()


def test_a_test_folder_without_classes_is_said_and_an_error_if_strict(make_source, make_tree):
    source = make_source(make_tree({"train/a": 5, "train/b": 5, "test": 2}))
    splits = source.splits(seed=0)
    assert {split: len(samples) for split, samples in splits.samples.items()} == {"train": 8, "val": 2}
    assert splits.notes[0].startswith("2 image(s) of test that lie in no class folder left out, so that nothing")
    with pytest.raises(UserError, match=r"2 image\(s\) of test that lie in no class folder"):
        source.check(strict=True)


@pytest.mark.parametrize("folders", [("train_aug", "val_aug"), ("train_old", "imagesTr")])
def test_folders_that_are_all_named_after_splits_are_no_classes(make_source, make_tree, folders):
    root = make_tree({f"{folder}/{label}": 2 for folder in folders for label in "ab"})
    with pytest.raises(UserError, match=r"which are named after splits and taken for no classes.*Rename them to train"):
        make_source(root).check()


@pytest.mark.parametrize("tree", [{"cat": 6, "dog": 6}, {"train/cat": 6, "train/dog": 6, "val/cat": 2, "val/dog": 2}])
def test_an_image_in_two_classes_is_said(make_source, make_tree, tree):
    root = make_tree(tree)
    train = root / "train" if (root / "train").is_dir() else root
    copied = sorted((train / "cat").iterdir())[0]
    (train / "dog" / "copy.png").write_bytes(copied.read_bytes())
    (finding,) = (found for found in make_source(root).splits(seed=0).findings if found.code == "image-two-classes")
    assert finding.note == (
        f"1 image(s) identical to one of another class: {(train / 'dog/copy.png').relative_to(root)} and "
        f"{copied.relative_to(root)}"
    )


def test_a_class_that_is_a_link_to_another_is_said(make_source, make_tree):
    root = make_tree({"cat": 6, "dog": 6})
    (root / "kitten").symlink_to(root / "cat")
    counts = {finding.code: finding.count for finding in make_source(root).splits(seed=0).findings}
    assert counts["image-two-classes"] == 6


def test_too_few_images_to_divide_are_counted_before_anything_is_read(make_source, make_tree):
    source = make_source(make_tree({"a": 2, "b": 30}))
    message = (
        r"too few samples to split in train and test and val.*at least 3, found 'a' \(2\).*dataset.test_fraction=0"
    )
    for call in (source.check, lambda: source.splits(seed=0)):
        with pytest.raises(UserError, match=message):
            call()


def test_a_root_that_is_not_given_says_what_to_type(settings):
    with pytest.raises(UserError, match=r"dataset 'folder' needs the folder .*Try: dataset.root=path/to/folder"):
        parse_source(settings("folder")).check()


@pytest.mark.parametrize(
    ("kind", "message"), [("missing", "there is no folder"), ("file", "is a file"), ("empty", "is empty")]
)
def test_a_root_that_is_no_folder_of_images_says_why(make_source, tmp_path: Path, kind, message):
    root = tmp_path / "root"
    if kind == "file":
        root.write_bytes(b"x")
    elif kind == "empty":
        root.mkdir()
    with pytest.raises(UserError, match=message):
        make_source(root).check()


def test_grey_images_are_normalised_by_a_half(make_source, make_tree):
    root = make_tree({"train/a": 1, "train/b": 1, "val/a": 1})
    info = make_source(root, in_channels=1).info()
    assert (info.in_channels, info.mean, info.std) == (1, (0.5,), (0.5,))
    assert make_source(root).info().mean == (0.485, 0.456, 0.406)


def test_with_split_folders_only_val_is_held_out_and_no_test_split_is_made(make_source, make_tree):
    splits = make_source(make_tree({"train/a": 10, "train/b": 10})).splits(seed=0)
    assert sizes(splits) == {"train": 17, "val": 3}
    assert splits.notes == ["val held out of train: 3 of 20"]


def test_splits_of_other_spellings_are_taken_as_they_are(make_source, make_tree):
    counts = {"Train/cat": 5, "Train/dog": 5, "Valid/cat": 2, "Valid/dog": 2, "Test/cat": 1, "Test/dog": 2}
    source = make_source(make_tree(counts))
    assert source.info().class_names == ("cat", "dog")
    assert sizes(source.splits(seed=0)) == {"train": 10, "val": 4, "test": 3}


def test_a_folder_beside_the_splits_is_said_and_an_error_when_strict(make_source, make_tree):
    source = make_source(make_tree({"train/a": 3, "train/b": 3, "val/a": 1, "val/b": 1, "extra/a": 1}))
    assert source.splits(seed=0).notes == ["1 folder(s) beside the splits that are none left out: extra"]
    for call in (source.check, lambda strict: source.splits(seed=0, strict=strict)):
        with pytest.raises(UserError, match=r"1 folder\(s\) beside the splits that are none left out: extra. Name"):
            call(strict=True)


def test_files_of_unknown_endings_are_counted_by_ending_and_those_without_one_are_read(make_source, make_tree):
    root = make_tree({"cat": 8, "dog": 8, "@eaDir/thumb": 2})
    for index in range(4):
        (root / "cat" / f"{index:03}.png").rename(root / "cat" / f"plain{index}")
    for index in range(3):
        (root / "dog" / f"{index}.HEIC").write_bytes(b"\0\0\0 ftypheic")
    (root / "dog" / "Thumbs.db").write_bytes(b"x")
    (root / "dog" / "LICENSE").write_text("words")
    source = make_source(root)
    splits = source.splits(seed=0)
    assert source.info().class_names == ("cat", "dog")
    assert sum(sizes(splits).values()) == 16
    assert splits.notes[0] == "4 file(s) of an ending that is not read left out: 3 .heic, 1 without an ending"
    assert [finding.code for finding in splits.findings] == ["file-no-image"]
    with pytest.raises(UserError, match=r"3 .heic, 1 without an ending. Convert them"):
        source.splits(seed=0, strict=True)


def test_images_outside_the_class_folders_are_said(make_source, make_tree, save_image):
    root = make_tree({"train/a": 3, "train/b": 3, "val/a": 1, "val/b": 1})
    save_image(root / "train" / "loose.png")
    assert make_source(root).splits(seed=0).notes == [
        "1 image(s) that lie in no class folder left out: train/loose.png"
    ]


def test_names_that_are_no_utf_8_are_read_restored_and_displayed(make_source, make_tree):
    root = make_tree({"a": 4, "b": 4})
    name = os.fsdecode(b"caf\xe9")
    (root / "a").rename(root / name)
    (root / name / "000.png").rename(root / name / os.fsdecode(b"\xff.png"))
    source = make_source(root)
    assert source.info().class_names == ("b", "caf\\xe9")
    first = source.splits(seed=0)
    saved = json.loads(json.dumps(first.saved))
    again = source.splits(seed=1, saved=saved)
    for split, samples in first.samples.items():
        assert names(samples) == names(again.samples[split])
        assert all(samples.image(index).shape == (3, 8, 8) for index in range(len(samples)))
    assert f"{name}/{os.fsdecode(bytes([255]))}.png" in {file for files in saved.values() for file in files}


def test_checking_lists_no_more_than_the_first_images(make_source, make_tree, monkeypatch):
    source = make_source(make_tree({"a": 30, "b": 30}))
    listed = []
    monkeypatch.setattr(
        "visionkit.data.sources.folder.layout.scan_images",
        lambda *arguments: (listed.append(found) or found for found in scan_images(*arguments)),
    )
    source.check()
    source.info()
    assert len(listed) == 6


def test_class_folders_are_the_same_in_both_forms_of_unicode(make_source, make_tree):
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    root = make_tree({f"train/{composed}": 3, "train/tee": 3, f"val/{decomposed}": 2, "val/tee": 2})
    splits = make_source(root).splits(seed=0)
    assert splits.samples["val"].labels.bincount().tolist() == [2, 2]
    root = make_tree({composed: 3, decomposed: 3, "tee": 6}, name="both")
    source = make_source(root)
    assert source.info().class_names == (composed, "tee")
    labels = [label for samples in source.splits(seed=0).samples.values() for label in samples.labels.tolist()]
    assert sorted(labels) == [0] * 6 + [1] * 6


def test_classes_that_differ_in_case_alone_are_said(make_source, make_tree):
    notes = make_source(make_tree({"Cat": 4, "cat": 4, "dog": 4})).splits(seed=0).notes
    assert "1 class(es) written like another or almost, each a class of its own: Cat and cat" in notes


@pytest.mark.parametrize("folder", ["photos", "."])
def test_a_folder_of_a_table_is_recognised(make_source, tmp_path, save_image, folder):
    for name in "abc":
        save_image(tmp_path / folder / f"{name}.png")
    (tmp_path / "labels.csv").write_text(f"image,label\n{folder}/a.png,x\n")
    with pytest.raises(UserError, match=r"looks like a table of images and labels \('labels.csv'\): dataset=table"):
        make_source(tmp_path).check()
