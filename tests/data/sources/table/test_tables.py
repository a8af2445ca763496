"""One table for each split."""

import re

import pytest

from visionkit.data.sources import parse_source
from visionkit.data.sources.split_names import FILL_VAL
from visionkit.errors import UserError

PARTS = {"train": "abcdef", "val": "ghi", "test": "jkl"}


@pytest.fixture
def make_source(make_table, settings, tmp_path):
    """The source of a folder with these tables, which name the images by their letters."""

    def make(tables, **changes):
        for name, text in tables.items():
            (tmp_path / name).write_text(text)
        return parse_source(settings("table", root=str(tmp_path), image_size=8, **changes))

    return make


def text(letters, header="image,label"):
    return "\n".join([header, *(f"images/{letter}.png,{'xy'[ord(letter) % 2]}" for letter in letters)])


def split_names(source):
    samples = source.splits(seed=0).samples
    return {split: "".join(s.name(i)[-5] for i in range(len(s))) for split, s in samples.items()}


@pytest.mark.parametrize("name", ["{}.csv", "labels_{}.csv"])
def test_the_tables_of_a_folder_are_its_splits(make_source, name):
    assert split_names(make_source({name.format(split): text(part) for split, part in PARTS.items()})) == PARTS


def test_a_folder_may_be_given_as_the_file(make_source, tmp_path):
    source = make_source({f"{split}.csv": text(part) for split, part in PARTS.items()}, file=str(tmp_path))
    assert split_names(source) == PARTS


def test_tables_beside_the_one_that_is_given_are_said(make_source, tmp_path):
    source = make_source(
        {f"{split}.csv": text(part) for split, part in PARTS.items()}, file=str(tmp_path / "train.csv")
    )
    splits = source.splits(seed=0)
    assert splits.notes[0] == "2 table(s) beside those that are read left out: test.csv, val.csv"
    assert {split: len(samples) for split, samples in splits.samples.items()} == {"train": 4, "val": 2}
    with pytest.raises(UserError, match=r"2 table\(s\) beside those that are read.*dataset.file=FOLDER"):
        source.check(strict=True)


def test_a_test_table_without_labels_is_left_out_and_said(make_source):
    tables = {"train.csv": text(PARTS["train"]), "val.csv": text(PARTS["val"])}
    tables |= {"test.csv": "image\nimages/j.png\n", "sample_submission.csv": "image,label\nimages/j.png,x\n"}
    source = make_source(tables)
    assert split_names(source) == {"train": "abcdef", "val": "ghi"}
    assert source.splits(seed=0).notes == [
        "1 table(s) beside those that are read left out: sample_submission.csv",
        "1 table(s) of a split without the column of labels left out: test.csv",
    ]


def test_a_fault_names_the_table_that_has_it(make_source):
    source = make_source({"train.csv": text("abcdef"), "val.csv": text("ghz")})
    assert source.splits(seed=0).notes == [
        "1 annotation(s) for a missing image dropped: 'images/z.png' in line 4 of val.csv"
    ]


NO_IMAGES = ["image,label\n", "image,label\nimages/zz.png,cat\n"]


@pytest.mark.parametrize("val", NO_IMAGES)
def test_a_table_of_val_without_an_image_is_an_error_that_says_what_to_do(make_source, val):
    source = make_source({"train.csv": text(PARTS["train"]), "val.csv": val})
    with pytest.raises(UserError, match=rf"no image of val in '.*' can be used. .*\. {re.escape(FILL_VAL)}"):
        source.check()


@pytest.mark.parametrize("test", NO_IMAGES)
def test_a_table_of_test_without_an_image_is_said(make_source, test):
    tables = {f"{split}.csv": text(PARTS[split]) for split in ("train", "val")}
    splits = make_source(tables | {"test.csv": test}).splits(seed=0)
    assert set(splits.samples) == {"train", "val"}
    left_out = [finding.places for finding in splits.findings if finding.code == "split-left-out"]
    assert left_out == [("test: none of its images can be used",)]


def test_a_table_of_train_without_rows_is_named(make_source):
    source = make_source({"train.csv": NO_IMAGES[0], "val.csv": text(PARTS["val"])})
    with pytest.raises(UserError, match=r"no image of train in '.*' can be used. It has no rows."):
        source.check()
