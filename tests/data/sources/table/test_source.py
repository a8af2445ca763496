"""``dataset=table``: which images, labels and splits a table gives, and what is said of its faults."""

import json

import pytest
import torch

from visionkit.data.sources import parse_source
from visionkit.errors import UserError


def rows(*labels, header="image,label", folder="images"):
    """A row for each label, of a.png, b.png, ..."""
    return "\n".join(
        [header, *(f"{folder}/{letter}.png,{label}" for letter, label in zip("abcdefghijkl", labels, strict=False))]
    )


def content(samples):
    """The file names and labels of a split."""
    return {samples.name(i).rpartition("/")[2]: samples.labels[i].tolist() for i in range(len(samples))}


def everything(source):
    return {name: label for split in source.splits(seed=0).samples.values() for name, label in content(split).items()}


TWELVE = rows(*["cat", "dog"] * 6)


def test_each_row_is_an_image_with_its_class(make_table):
    source = make_table(TWELVE)
    assert source.info().class_names == ("cat", "dog")
    assert everything(source) == {f"{letter}.png": i % 2 for i, letter in enumerate("abcdefghijkl")}


def test_an_undivided_table_is_divided_at_random_and_the_division_saved(make_table):
    source = make_table(TWELVE)
    splits = source.splits(seed=0)
    assert {name: len(samples) for name, samples in splits.samples.items()} == {"train": 8, "val": 2, "test": 2}
    assert splits.samples["val"].labels.bincount().tolist() == [1, 1]
    assert splits.notes == ["test held out of all images: 2 of 12", "val held out of all images: 2 of 12"]
    again = source.splits(seed=5, saved=json.loads(json.dumps(splits.saved)))
    assert {n: content(s) for n, s in again.samples.items()} == {n: content(s) for n, s in splits.samples.items()}
    assert source.splits(seed=5).saved != splits.saved


def test_a_column_of_splits_divides_by_names_in_any_spelling(make_table):
    labels = ["cat,Training", "dog,train", "cat,Valid", "dog,dev", "cat,test_set"]
    splits = make_table(rows(*labels, header="image,label,split")).splits(seed=0)
    assert {n: list(content(s)) for n, s in splits.samples.items()} == {
        "train": ["a.png", "b.png"], "val": ["c.png", "d.png"], "test": ["e.png"],
    }  # fmt: skip
    assert splits.saved is None


def test_of_a_divided_table_only_a_missing_validation_is_held_out(make_table):
    labels = [f"{label},train" for label in ["cat", "dog"] * 4] + ["cat,test", "dog,test"]
    splits = make_table(rows(*labels, header="image,label,split"), val_fraction=0.25).splits(seed=0)
    assert {name: len(samples) for name, samples in splits.samples.items()} == {"train": 6, "val": 2, "test": 2}
    assert splits.notes == ["val held out of train: 2 of 8"]
    assert set(splits.saved) == {"train", "val"}


@pytest.mark.parametrize("prefix", ["C:\\Users\\me\\set\\images\\", "/content/set/images/", "old/images/", "~/x/"])
def test_paths_of_another_computer_are_found_by_their_last_parts(make_table, prefix):
    text = TWELVE.replace("images/", prefix)
    assert everything(make_table(text)) == everything(make_table(TWELVE))


def test_a_path_that_fits_two_files_is_ambiguous_and_a_name_alone_says_nothing_of_its_folder(
    make_table, save_image, tmp_path
):
    for name in ("more/a.png", "cats/x.png", "dogs/y.png"):
        save_image(tmp_path / name)
    foreign = ["/old/a.png,cat", "/old/cats/x.png,cat", "/old/cats/y.png,cat"]
    findings = (
        make_table("\n".join([*TWELVE.splitlines()[:1], *TWELVE.splitlines()[2:], *foreign])).splits(seed=0).findings
    )
    assert [(finding.code, finding.places) for finding in findings] == [
        ("image-missing", ("'/old/cats/y.png' in line 15",)),
        ("image-ambiguous", ("'/old/a.png' in line 13",)),
    ]


def test_rows_of_files_that_are_not_read_are_counted_by_ending_once(make_table, tmp_path):
    (tmp_path / "images/m.heic").write_bytes(b"x")
    (tmp_path / "images/a.png").rename(tmp_path / "images/a.dat")
    text = TWELVE.replace("a.png", "a.dat") + "\nimages/m.heic,cat\nimages/m.heic,cat"
    source = make_table(text)
    assert len(everything(source)) == 12
    assert "1 file(s) of an ending that is not read left out: 1 .heic" in source.splits(seed=0).notes


def test_a_row_of_no_known_split_is_left_out_and_said(make_table):
    labels = ["cat,train", "dog,train", "cat,val", "dog,val", "cat,later"]
    splits = make_table(rows(*labels, header="image,label,split")).splits(seed=0)
    assert (
        "1 row(s) of a split that is none of train, val and test left out: 'later' of 'images/e.png' in line 6"
        in splits.notes
    )


@pytest.mark.parametrize(
    "text",
    [
        TWELVE.replace(",", ";"),
        TWELVE.replace(",", "\t"),
        TWELVE.replace("\n", "\r\n") + "\r\n",
        b"\xef\xbb\xbf" + TWELVE.encode(),
        TWELVE.encode("utf-16"),
        "\n".join(f'"{a}" , "{b}"'.replace(" , ", ",") for a, b in (r.split(",") for r in TWELVE.split("\n"))),
        TWELVE.replace(",", " , "),
        TWELVE.replace("\n", "\n\n"),
        TWELVE.replace("image,label", "image,label,extra"),
        TWELVE.replace("cat", "cat,"),
    ],
    ids=["semicolon", "tab", "crlf", "bom", "utf-16", "quoted", "spaces", "blank lines", "fewer cells", "empty cells"],
)
def test_a_table_is_read_however_programs_write_it(make_table, text):
    assert everything(make_table(text)) == everything(make_table(TWELVE))


def test_columns_and_suffix_have_the_names_that_are_given(make_table):
    text = TWELVE.replace("image,label", "id,kind").replace(".png", "")
    source = make_table(text, image_column="id", label_column="kind", image_suffix=".png")
    assert everything(source) == everything(make_table(TWELVE))


def test_paths_are_relative_to_the_root_or_to_the_table_or_absolute(make_table, tmp_path, save_image):
    save_image(tmp_path / "root" / "r.png")
    text = "image,label\nr.png,cat\n./images/a.png,cat\nimages\\b.png,cat\n" + f"{tmp_path}/images/c.png,cat\n"
    text += "\n".join(f"images/{letter}.png,dog" for letter in "defg")
    source = make_table(text, root=str(tmp_path / "root"))
    assert sorted(everything(source)) == ["a.png", "b.png", "c.png", "d.png", "e.png", "f.png", "g.png", "r.png"]
    for samples in source.splits(seed=0).samples.values():
        assert all(samples.image(i).shape == (3, 8, 8) for i in range(len(samples)))


def test_the_only_table_of_the_root_is_taken(make_table, tmp_path, settings):
    make_table(TWELVE)
    source = parse_source(settings("table", root=str(tmp_path), image_size=8))
    assert len(everything(source)) == 12
    (tmp_path / "other.csv").write_text("a,b\n")
    with pytest.raises(UserError, match=r"has 2 tables: labels.csv, other.csv.*Try: dataset.file="):
        parse_source(settings("table", root=str(tmp_path), image_size=8)).check()


def test_numbers_are_class_names_as_written_and_in_their_natural_order(make_table):
    source = make_table(rows(*["10", "2", "01", "1"] * 3))
    assert source.info().class_names == ("01", "1", "2", "10")


def test_missing_images_and_rows_without_a_label_are_dropped_and_said(make_table):
    text = TWELVE + "\nimages/z.png,cat\nimages/a.png,\n,dog\nimages/b.png\n"
    source = make_table(text)
    notes = source.splits(seed=0).notes
    assert "2 annotation(s) for a missing image dropped: 'images/z.png' in line 14, '' in line 16" in notes
    assert "1 row(s) without a label dropped: 'images/a.png' in line 15" in notes
    form = "as many cells as the header, without open quotes and control characters"
    assert f"1 line(s) that are not '{form}' dropped: line 17 of 'labels.csv'" in notes
    with pytest.raises(UserError, match="With strict=false"):
        source.check(strict=True)


@pytest.mark.parametrize("word", ["NaN", "nan", "NULL", "NA", "N/A", "#N/A", "<NA>"])
def test_words_of_programs_for_an_empty_cell_are_no_label(make_table, word):
    source = make_table(TWELVE.replace("c.png,cat", f"c.png,{word}"))
    assert source.info().class_names == ("cat", "dog")
    assert "1 row(s) without a label dropped: 'images/c.png' in line 4" in source.splits(seed=0).notes


def test_classes_that_differ_in_case_alone_are_said(make_table):
    source = make_table(rows(*["cat", "Cat", "dog"] * 4))
    assert (
        "1 class(es) written like another or almost, each a class of its own: Cat and cat"
        in source.splits(seed=0).notes
    )


def test_one_picture_with_two_labels_is_said(make_table, tmp_path):
    (tmp_path / "images/b.png").write_bytes((tmp_path / "images/a.png").read_bytes())
    notes = make_table(TWELVE).splits(seed=0).notes
    assert "1 image(s) identical to one of another class: images/b.png and images/a.png" in notes


def test_labels_and_paths_are_the_same_in_both_forms_of_unicode(make_table, tmp_path):
    (tmp_path / "images/a.png").rename(tmp_path / "images/e\u0301.png")
    text = rows(*["caf\u00e9", "tee", "cafe\u0301", "tee"] * 3).replace("a.png", "\u00e9.png")
    source = make_table(text)
    assert source.info().class_names == ("caf\u00e9", "tee")
    assert len(everything(source)) == 12
    source = make_table(text.replace("label", "cafe\u0301"), label_column="caf\u00e9")
    assert len(everything(source)) == 12


def test_an_ending_in_other_letters_is_the_same_file_unless_both_exist(make_table, tmp_path):
    assert everything(make_table(TWELVE.replace(".png", ".PNG"))) == everything(make_table(TWELVE))
    (tmp_path / "images/a.PNG").write_bytes((tmp_path / "images/a.png").read_bytes())
    notes = make_table(TWELVE.replace("a.png", "a.Png")).splits(seed=0).notes
    assert notes[0].startswith("1 listed image(s) whose name fits several files, or whose file fits several names")


def test_an_image_in_another_case_than_in_the_table_is_found_and_said(make_table, tmp_path):
    expected = everything(make_table(TWELVE))
    found = make_table(TWELVE.replace("images/a.png", "Images/A.PNG")).splits(seed=0).findings
    assert [(finding.code, finding.places) for finding in found] == [
        ("name-other-case", ("images/a.png (as Images/A.PNG)",))
    ]
    assert everything(make_table(TWELVE.replace("a.png", "A.PNG"))) == expected


def test_an_image_listed_twice_with_one_label_is_one_image(make_table):
    splits = make_table(TWELVE + "\nimages/a.png,cat\n./images/b.png,dog").splits(seed=0)
    assert sum(map(len, splits.samples.values())) == 12
    assert [f.count for f in splits.findings if f.code == "image-listed-twice"] == [2]


def test_an_image_with_two_labels_in_two_rows_is_an_error(make_table):
    with pytest.raises(UserError, match=r"1 row\(s\) with another label.*: 'images/a.png' in line 14.*task=multilabel"):
        make_table(TWELVE + "\nimages/a.png,dog").check()


def test_an_image_in_two_splits_is_an_error(make_table):
    labels = ["cat,train", "dog,train", "cat,val", "dog,val"]
    text = rows(*labels, header="image,label,split") + "\nimages/a.png,cat,test"
    with pytest.raises(UserError, match=r"1 file\(s\) of test that are in train too: images/a.png"):
        make_table(text).splits(seed=0)
    splits = make_table(text, allow_overlap=True).splits(seed=0)
    assert [list(content(samples)) for samples in splits.samples.values()] == [
        ["a.png", "b.png"], ["c.png", "d.png"], ["a.png"],
    ]  # fmt: skip


def test_images_of_one_group_by_a_column_stay_in_one_split(make_table):
    labels = [f"{label},{patient}" for label, patient in zip(["cat", "dog"] * 6, "aabbccddeeff", strict=True)]
    text = rows(*labels, header="image,label,patient")
    source = make_table(text, group_by="patient")
    for seed in range(3):
        splits = source.splits(seed=seed)
        patients = [{"abcdefghijkl".index(name[0]) // 2 for name in content(s)} for s in splits.samples.values()]
        assert sorted(patient for part in patients for patient in part) == [0, 1, 2, 3, 4, 5]
        assert "6 groups by dataset.group_by, each in one split" in splits.notes
    with pytest.raises(UserError, match=r"dataset.group_by: .* no column 'patent'. Did you mean 'patient'\?"):
        make_table(text, group_by="patent").check()
    assert len(make_table(text, group_by=r"(\w)\.png").splits(seed=0).samples) == 3


def test_a_group_by_a_column_that_is_in_two_splits_is_an_error(make_table):
    labels = ["cat,train,x", "dog,train,y", "cat,val,x", "dog,val,", "cat,test,"]
    text = rows(*labels, header="image,label,split,patient")
    with pytest.raises(UserError, match=r"1 image\(s\) of val whose group by dataset.group_by is in train too"):
        make_table(text, group_by="patient").splits(seed=0)


def test_each_image_is_validated_in_one_of_the_folds(make_table):
    found = [make_table(TWELVE, fold=fold, folds=3).splits(seed=0).samples for fold in range(3)]
    assert [set(samples) for samples in found] == [{"train", "val"}] * 3
    assert sorted(name for samples in found for name in content(samples["val"])) == [f"{c}.png" for c in "abcdefghijkl"]


LISTS = ["cat", "dog", "cat;dog", "dog|cat", "", '"[""cat"", ""dog""]"', "\"['cat', 'dog']\"", "[]", "[dog]", "bird"]
SETS = [[0, 1, 0], [0, 0, 1], [0, 1, 1], [0, 1, 1], [0, 0, 0], [0, 1, 1], [0, 1, 1], [0, 0, 0], [0, 0, 1], [1, 0, 0]]


def test_the_labels_of_a_cell_are_a_set_however_they_are_written(make_table):
    source = make_table(rows(*LISTS), target="label_set")
    assert source.info().class_names == ("bird", "cat", "dog")
    assert everything(source) == {f"{letter}.png": labels for letter, labels in zip("abcdefghij", SETS, strict=True)}
    (finding,) = [f for f in source.splits(seed=0).findings if f.code == "label-none"]
    assert finding.note.endswith("as having none of the classes: images/e.png, images/h.png")


def test_labels_stand_between_the_separator_that_is_given(make_table):
    source = make_table(rows(*["hazy primary", "clear", "clear primary"] * 4), target="label_set", label_separator=" ")
    assert source.info().class_names == ("clear", "hazy", "primary")
    assert everything(source)["a.png"] == [0, 1, 1]


def test_a_column_for_each_class_makes_sets_in_the_order_that_is_given(make_table):
    text = rows(*["1,0,0", "1,1,0", "0,0,0", "True,0.0,1.0"] * 3, header="image,x,y,z")
    source = make_table(text, target="label_set", label_columns=["z", "x"])
    assert source.info().class_names == ("z", "x")
    assert [everything(source)[f"{letter}.png"] for letter in "abcd"] == [[0, 1], [0, 1], [0, 0], [1, 1]]


def test_columns_of_which_one_is_set_in_each_row_are_classes(make_table):
    source = make_table(rows(*["1,0", "0,1"] * 6, header="image,x,y"), label_columns=["x", "y"])
    assert everything(source) == everything(make_table(TWELVE))


def test_the_rows_of_one_image_are_united_where_it_may_have_several_labels(make_table):
    text = TWELVE + "\nimages/a.png,dog\nimages/a.png,cat"
    splits = make_table(text, target="label_set").splits(seed=0)
    assert everything(make_table(text, target="label_set"))["a.png"] == [1, 1]
    assert [(f.code, f.count) for f in splits.findings] == [("image-listed-twice", 1)]


def test_several_labels_an_image_are_for_another_task_and_so_are_single_ones(make_table):
    with pytest.raises(UserError, match=r"line 4 of .* has 2 labels, cat, dog, as have 4 of 10 rows.*task=multilabel"):
        make_table(rows(*LISTS)).check()
    with pytest.raises(UserError, match=r"every row of .* has one label.*Try: task=classify"):
        make_table(TWELVE, target="label_set").check()


@pytest.mark.parametrize("separator", [",", " ", "/"])
def test_labels_that_seem_to_be_several_name_their_separator(make_table, separator):
    text = rows(*["cat", f'"cat{separator}dog"', "dog"] * 4)
    with pytest.raises(UserError, match=rf"""'cat{separator}dog' .*'dataset.label_separator="{separator}"'"""):
        make_table(text, target="label_set").check()
    assert everything(make_table(text, target="label_set", label_separator=separator))["b.png"] == [1, 1]


def test_random_splits_spread_the_labels_that_enough_images_have(make_table):
    labels = ["cat;dog"] * 5 + ["cat"] * 5 + ["cat;bird", "cat;fish"]
    for seed in range(5):
        splits = make_table(rows(*labels), target="label_set").splits(seed=seed)
        assert {name: len(samples) for name, samples in splits.samples.items()} == {"train": 8, "val": 2, "test": 2}
        dogs = make_table(rows(*labels), target="label_set").info().class_names.index("dog")
        assert [int(samples.labels[:, dogs].sum()) for samples in splits.samples.values()] == [3, 1, 1]


def test_a_class_that_no_training_image_has_is_said(make_table):
    labels = ["cat;dog,train", "dog,train", "cat,val", "bird,val"]
    splits = make_table(rows(*labels, header="image,label,split"), target="label_set").splits(seed=0)
    assert splits.notes == [
        "1 class(es) that no training image has: bird",
        "1 class(es) without an image in val: dog",
    ]


@pytest.mark.parametrize(
    ("text", "changes", "message"),
    [
        ("file,label\nimages/a.png,cat\n", {}, r"dataset.image_column: .* no column 'image'.*it has 'file', 'label'"),
        ("image,Label\nimages/a.png,cat\n", {}, r"Did you mean 'Label'\?.*dataset.label_column=Label"),
        (TWELVE, {"split_column": "part"}, r"dataset.split_column: .* no column 'part'"),
        (TWELVE, {"label_columns": ["x"]}, r"dataset.label_columns: .* no column 'x'"),
        ("image,label,label\na,b,c\n", {}, r"dataset.label_column: .* has 2 columns called 'label'"),
        ("", {}, "is empty. Expected a line with the names of columns"),
        ("image,label\n", {}, "no image of .* can be used. It has no rows"),
        (rows("cat", "dog", folder="elsewhere"), {}, r"2 annotation\(s\) for a missing image.*Try: dataset.root="),
        (rows(*["cat"] * 12), {}, r"the images of train have 1 class \(cat\); at least 2 are needed"),
        (rows("cat", "dog", "cat", "dog"), {}, r"each class needs at least 3, found 'cat' \(2\), 'dog' \(2\)"),
        (b"image,label\nimages/a.png,K\xe4se\n", {}, "is no text in UTF-8.*Save it as CSV in UTF-8"),
        (rows("0.7", "1", header="image,x"), {"label_columns": ["x"]}, r"line 2: the column 'x' has '0.7'. Expected 1"),
        ('image,label\n"' + "x" * 200_000, {}, "cannot be read: field larger than field limit"),
        (
            rows("cat,train", "dog,train", "Dog,val", header="image,label,split"),
            {},
            r"no image of train has the class 'Dog', which others have. Did you mean 'dog'\?",
        ),
        (rows("cat,val", "dog,val", header="image,label,split"), {}, "has images of val, but none of train"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_what_to_type(make_table, text, changes, message):
    with pytest.raises(UserError, match=message):
        make_table(text, **changes).check()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "needs a table, and dataset.file is not given"),
        ({"file": "none.csv"}, r"there is no file 'none.csv' \(looked in .*Try: dataset.file="),
        ({"root": "labels.csv"}, r"'labels.csv' is a file, and root is the folder.*Try: dataset.file=labels.csv"),
    ],
)
def test_a_table_that_is_not_found_is_asked_for(settings, in_empty_folder, changes, message):
    (in_empty_folder / "labels.csv").write_text(TWELVE)
    with pytest.raises(UserError, match=message):
        parse_source(settings("table", image_size=8, **changes)).check()


def test_too_large_a_table_and_too_many_classes_are_refused(make_table, monkeypatch):
    monkeypatch.setattr("visionkit.data.sources.table.source._MAX_FLAGS", 20)
    with pytest.raises(UserError, match="3 classes are too many for so many images"):
        make_table(rows(*LISTS), target="label_set").check()
    monkeypatch.setattr("visionkit.data.sources.table.rows._MAX_ROWS", 5)
    with pytest.raises(UserError, match="more than 5 rows"):
        make_table(TWELVE).check()
    monkeypatch.setattr("visionkit.data.sources.table.rows._MAX_BYTES", 50)
    with pytest.raises(UserError, match=r"labels.csv' has 0 KiB, and such a file is read up to 0 KiB"):
        make_table(TWELVE).check()


def test_parquet_without_its_reader_says_what_to_install(make_table, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(UserError, match="Try: pip install pyarrow, or write the table as CSV"):
        make_table(b"PAR1", name="labels.parquet").check()


def test_parquet_gives_what_csv_gives(make_table, tmp_path):
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    source = make_table(b"", name="labels.parquet", target="label_set")
    paths = [f"images/{letter}.png" for letter in "abcdefghijkl"]
    parquet.write_table(pyarrow.table({"image": paths, "label": [["a", "b"], ["b"], []] * 4}), source.file)
    assert everything(source)["a.png"] == [1, 1]
    with pytest.raises(UserError, match="cannot be read"):
        make_table(b"PAR1", name="broken.parquet").check()


def test_batches_hold_sets_of_labels_and_count_the_images_of_each_class(make_table):
    from visionkit.data.datamodule import VisionDataModule

    source = make_table(rows(*LISTS), target="label_set", augment={})
    module = VisionDataModule(source, target="label_set", batch_size=3, seed=0)
    module.setup("fit")
    batch = next(iter(module.val_dataloader()))
    expected = module.dataset("val").labels[batch["index"]]
    assert batch["label_set"].dtype == torch.uint8
    assert batch["label_set"].equal(expected)
    assert module.class_counts().equal(module.dataset("train").labels.long().sum(dim=0))


@pytest.mark.parametrize("separator", [",", " ", "/"])
def test_classes_that_look_like_several_labels_are_doubted(make_table, separator):
    joined = f'"cat{separator}dog"'
    source = make_table(rows(*["cat", "dog", joined] * 4))
    (finding,) = (f for f in source.splits(seed=0).findings if f.code == "labels-joined")
    assert finding.places == (f"cat{separator}dog",)
    assert f"several labels with '{separator}' between them: cat{separator}dog" in finding.note
    assert f"task=multilabel 'dataset.label_separator=\"{separator}\"'" in finding.remedy


def test_a_class_of_two_words_is_not_doubted_where_the_words_are_no_classes(make_table):
    findings = make_table(rows(*["hot dog", "dog"] * 6)).splits(seed=0).findings
    assert [finding.code for finding in findings] == []


def test_rows_of_val_without_an_image_are_not_replaced_by_others_of_train(make_table):
    labels = [f"{label},train" for label in ["cat", "dog"] * 4] + ["cat,val", "dog,val"]
    text = rows(*labels, header="image,label,split").replace("i.png", "zz.png").replace("j.png", "yy.png")
    with pytest.raises(UserError, match=r"no image of val .* 2 annotation.* missing image.*zz.png.*Fill it, or remove"):
        make_table(text).check()
