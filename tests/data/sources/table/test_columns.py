"""A table's own split is read, whatever its column is called."""

import pytest

from visionkit.errors import UserError

SPLITS = ["train", "train", "val", "val", "test", "test"] * 2


def table(column, words, *, more=""):
    lines = [f"images/{letter}.png,{'xy'[i % 2]},{words[i]}" for i, letter in enumerate("abcdefghijkl")]
    return "\n".join([f"image,label,{column}{more}", *(line + (",1" if more else "") for line in lines)])


def sizes(source):
    return {split: len(samples) for split, samples in source.splits(seed=0).samples.items()}


@pytest.mark.parametrize("column", ["Split", "subset", "set", "Phase", "part of the study"])
def test_a_column_with_the_words_of_splits_is_that_of_splits(make_table, column):
    source = make_table(table(column, SPLITS))
    assert sizes(source) == {"train": 4, "val": 4, "test": 4}
    assert source.splits(seed=0).notes == [f"1 column(s) read as that of splits, for its words: {column}"]


@pytest.mark.parametrize(("column", "split"), [("is_valid", "val"), ("is_test", "test")])
@pytest.mark.parametrize("words", [("True", "False"), ("1", "0")])
def test_a_column_of_yes_and_no_marks_a_split(make_table, column, split, words):
    source = make_table(table(column, [words[index >= 4] for index in range(12)]))
    assert sizes(source) == {"train": 8, "val": 4} if split == "val" else {"train": 6, "val": 2, "test": 4}


@pytest.mark.parametrize(("column", "words"), [("fold", list("012012012012")), ("Set", ["A", "B"] * 6)])
def test_a_column_that_is_called_so_and_has_other_words_is_said(make_table, column, words):
    notes = make_table(table(column, words)).splits(seed=0).notes
    assert notes[0] == f"1 column(s) named as if of splits or folds not read: {column}"


def test_two_columns_of_splits_are_asked_for(make_table):
    text = table("part", SPLITS).replace("label,part", "label,part,Set").replace("\n", ",train\n") + ",train"
    text = text.replace("part,Set,train", "part,Set")
    with pytest.raises(UserError, match=r"2 columns of .* look like that of splits: part, Set. Say which one it is"):
        make_table(text).check()
    assert sizes(make_table(text, split_column="part")) == {"train": 4, "val": 4, "test": 4}


def test_a_column_called_train_words_of_labels_is_not_taken(make_table):
    """The column of labels may have such words itself."""
    source = make_table(table("other", ["1"] * 12).replace(",x,", ",train,").replace(",y,", ",test,"))
    assert source.info().class_names == ("test", "train")
    assert sizes(source) == {"train": 8, "val": 2, "test": 2}


@pytest.mark.parametrize(("header", "proposed"), [("image,labels", "labels"), ("image,diagnosis", "diagnosis")])
def test_a_missing_column_of_labels_proposes_one_that_may_be_meant(make_table, header, proposed):
    with pytest.raises(UserError, match=f"Name the column that is meant: dataset.label_column={proposed}$"):
        make_table(f"{header}\n0.png,cat\n1.png,dog\n").splits(seed=0)
