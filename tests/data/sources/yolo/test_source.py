import os
from pathlib import Path

import numpy
import pytest

from visionkit.data.sources import parse_source
from visionkit.errors import UserError


@pytest.fixture
def make_source(settings):
    return lambda root, **changes: parse_source(settings("yolo", root=str(root), image_size=32, **changes))


def sizes(splits) -> dict[str, int]:
    return {name: len(samples) for name, samples in splits.samples.items()}


def write_label(root: Path, text: str) -> Path:
    file = root / "labels" / "train" / "train0.txt"
    file.write_text(text)
    return file


def first(source):
    return source.splits(seed=0).samples["train"].annotation(0)


def test_shares_become_pixels_of_each_image(make_source, make_yolo, save_image):
    root = make_yolo()
    save_image(root / "images" / "train" / "train1.png", size=(100, 60))
    samples = make_source(root).splits(seed=0).samples["train"]
    assert samples.annotation(0).boxes.tolist() == [[15, 7.5, 25, 22.5]]
    assert samples.annotation(1).boxes.tolist() == [[22.5, 25, 37.5, 75]]
    assert [samples.annotation(index).labels.tolist() for index in range(3)] == [[0], [1], [0]]
    assert samples.annotation(0).area.tolist() == [150]


@pytest.mark.parametrize("file", ["data.yaml", "my set.yml"])
@pytest.mark.parametrize("names", ["[cat, dog]", "{0: cat, 1: dog}", "{'1': dog, '0': cat}"])
def test_the_yaml_is_found_whatever_it_is_called_and_names_may_be_a_list_or_a_mapping(
    make_source, make_yolo, file, names
):
    root = make_yolo(file=file, names=names)
    assert make_source(root).info().class_names == ("cat", "dog")
    assert make_source(root / file).info().class_names == ("cat", "dog")


def test_splits_that_are_missing_are_held_out_and_saved(make_source, make_yolo):
    splits = make_source(make_yolo({"train": 20})).splits(seed=0)
    assert sizes(splits) == {"train": 17, "val": 3}
    assert splits.saved["train"][0].startswith("images/train/")
    given = make_source(make_yolo({"train": 20, "valid": 4, "test": 2})).splits(seed=0)
    assert (sizes(given), given.saved) == ({"train": 20, "val": 4, "test": 2}, None)


def test_splits_may_be_lists_of_images(make_source, make_yolo):
    root = make_yolo(text="train: train.txt\nval: [lists/val.txt]\nnames: [cat, dog]")
    (root / "train.txt").write_text("./images/train/train1.png\nimages/train/train4.png\n\n")
    (root / "lists").mkdir()
    (root / "lists/val.txt").write_text("images/val/val0.png\nimages/val/gone.png\n")
    splits = make_source(root).splits(seed=0)
    assert sizes(splits) == {"train": 2, "val": 1}
    assert Path(splits.samples["train"].name(0)).name == "train1.png"
    assert splits.samples["train"].annotation(0).labels.tolist() == [1]
    (note,) = splits.notes
    assert note.startswith("1 listed image(s) of val that do not exist dropped: ")
    assert note.endswith("images/val/gone.png")


@pytest.mark.parametrize(
    "text",
    [
        "path: .\ntrain: images/train\nval: images/val\nnames: [cat, dog]",
        "path: ../yolo\ntrain: [images/train]\nval: images/val\nnames: [cat, dog]",
        "path: /somewhere/else/yolo\ntrain: images/train\nval: images/val\nnames: [cat, dog]\nnc: 2",
        "train: ../images/train\nval: ../images/val\nnames: [cat, dog]",
    ],
)
def test_places_are_relative_to_path_to_the_yaml_or_as_exports_write_them(make_source, make_yolo, text):
    assert sizes(make_source(make_yolo(text=text)).splits(seed=0)) == {"train": 6, "val": 2}


def test_labels_may_lie_beside_the_images(make_source, save_image, tmp_path):
    for split in ("train", "val"):
        save_image(tmp_path / split / "a.png", size=(30, 40))
        (tmp_path / split / "a.txt").write_text("0 0.5 0.5 0.5 0.5")
    (tmp_path / "d.yaml").write_text("train: train\nval: val\nnames: [cat]")
    assert first(make_source(tmp_path)).boxes.tolist() == [[10, 7.5, 30, 22.5]]


def test_an_outline_becomes_the_box_around_it_and_a_confidence_is_read_over(make_source, make_yolo):
    root = make_yolo()
    write_label(root, "1 0.25 0.2 0.75 0.4 0.5 0.6\n0 0.5 0.5 0.5 0.5 0.93\n")
    found = first(make_source(root))
    assert found.boxes.tolist() == [pytest.approx([10, 6, 30, 18]), [10, 7.5, 30, 22.5]]
    assert found.labels.tolist() == [1, 0]


@pytest.mark.parametrize("empty", [True, False])
def test_an_image_without_lines_or_without_a_file_is_background(make_source, make_yolo, empty):
    root = make_yolo()
    file = write_label(root, "\n")
    if not empty:
        file.unlink()
    splits = make_source(root).splits(seed=0)
    assert sizes(splits)["train"] == 6
    missing = f"1 image(s) of train without a label file, read as background: {root}/images/train/train0.png"
    assert splits.notes == ([] if empty else [missing])
    assert first(make_source(root)).boxes.shape == (0, 4)


@pytest.mark.parametrize(
    ("line", "words", "remains"),
    [
        ("0 0.5 0.5 0 0.5", "box(es) of no width or height dropped", None),
        ("0 0.5 0.5 0.2 -0.5", "box(es) of no width or height dropped", None),
        ("0 nan 0.5 0.2 0.5", "box(es) whose coordinates are no numbers dropped", None),
        ("0 1.5 0.5 0.2 0.5", "box(es) outside the image dropped", None),
        ("0 0.9 0.5 0.4 0.5", "box(es) that reach out of the image clipped", [28, 7.5, 40, 22.5]),
        ("0 0.5 0.5 0.2", "line(s) that are not 'class x y width height' dropped", None),
        ("cat 0.5 0.5 0.2 0.3", "line(s) that are not 'class x y width height' dropped", None),
        ("0.5 0.5 0.5 0.2 0.3", "line(s) that are not 'class x y width height' dropped", None),
        ("inf 0.5 0.5 0.2 0.3", "line(s) that are not 'class x y width height' dropped", None),
    ],
)
def test_odd_lines_are_mended_or_dropped_counted_and_named(make_source, make_yolo, line, words, remains):
    root = make_yolo()
    file = write_label(root, f"1 0.5 0.5 0.25 0.5\n{line}\n")
    source = make_source(root)
    splits = source.splits(seed=0)
    assert splits.notes == [f"1 {words}: {file} line 2"]
    boxes = splits.samples["train"].annotation(0).boxes[1:].tolist()
    assert boxes == ([pytest.approx(remains)] if remains else [])
    with pytest.raises(UserError, match=r"dataset 'yolo': .*train0.txt line 2. .*strict=false it is only said"):
        source.check(strict=True)


@pytest.mark.parametrize("label", ["2", "-1"])
def test_a_class_id_out_of_range_names_file_line_and_range(make_source, make_yolo, label):
    root = make_yolo()
    write_label(root, f"{label} 0.5 0.5 0.25 0.5")
    with pytest.raises(UserError, match=rf"train0.txt line 1: class id {label} is out of range.*Expected 0 to 1"):
        make_source(root).check()


def test_a_label_file_for_a_missing_image_is_named(make_source, make_yolo):
    root = make_yolo()
    (root / "images/train/train3.png").unlink()
    (root / "labels/train/classes.txt").write_text("cat\ndog")
    (note,) = make_source(root).splits(seed=0).notes
    assert note == f"1 label file(s) for a missing image dropped: {root}/labels/train/train3.txt"


def test_a_label_file_that_is_no_text_is_named(make_source, make_yolo):
    root = make_yolo()
    (root / "labels/train/train0.txt").write_bytes(b"\xff\x00")
    (note,) = make_source(root).splits(seed=0).notes
    assert "train0.txt ('utf-8' codec can't decode" in note


def test_an_image_that_cannot_be_read_stays_to_be_dropped_by_the_loader(make_source, make_yolo):
    root = make_yolo()
    (root / "images/train/train0.png").write_bytes(b"broken")
    samples = make_source(root).splits(seed=0).samples["train"]
    assert len(samples) == 6
    assert numpy.isfinite(samples.annotations.objects.boxes).all()


def test_no_line_at_all_is_an_error(make_source, make_yolo):
    root = make_yolo()
    for file in (root / "labels").rglob("*.txt"):
        file.write_text("")
    with pytest.raises(UserError, match=r"no annotation at all: no object is marked in any of the 8 images"):
        make_source(root).check()


def test_the_same_folder_for_train_and_val_is_an_error(make_source, make_yolo):
    root = make_yolo(text="train: images/train\nval: images/train\nnames: [cat, dog]")
    with pytest.raises(UserError, match=r"6 file\(s\) of val that are in train too: images/train/train0.png .*=true"):
        make_source(root).check()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("train: images/train\nnames: []", r"names in '.*data.yaml' should be a list, or a mapping .*found \[\]"),
        ("train: images/train\nnames: {0: a, 2: b}", r"without a gap; found {\"0\": \"a\", \"2\": \"b\"}"),
        ("train: images/train\nnames: [a, b]\nnc: 3", r"has nc: 3, but 2 names"),
        ("val: images/val\nnames: [a, b]", r"does not say where the training images are; found the keys val, names"),
        ("train: images/nowhere\nnames: [a, b]", r"has train: images/nowhere, but there is no such folder or file"),
        ("train: labels\nnames: [a, b]", r"no images in '.*labels', where the images of train should be"),
        ("names: [a, b", r"data.yaml', line 1, column 13: not a plain YAML file: expected ',' or "),
        ("- a", r"data.yaml' should map names, train and val to values; found \[\"a\"\]"),
        ("nc: 3", r"expected one YAML file with names in '.*', found data.yaml. Write data.yaml with a line 'names:"),
    ],
)
def test_a_yaml_that_will_not_do_is_named(make_source, make_yolo, text, words):
    with pytest.raises(UserError, match=words):
        make_source(make_yolo(text=text)).check()


def test_two_yaml_files_with_names_ask_for_one(make_source, make_yolo):
    root = make_yolo()
    (root / "other.yaml").write_text("train: images/val\nval: images/train\nnames: [x, y]")
    with pytest.raises(UserError, match=r"expected one YAML file with names in '.*', found data.yaml, other.yaml"):
        make_source(root).check()
    assert make_source(root, file="other.yaml").info().class_names == ("x", "y")
    with pytest.raises(UserError, match=r"dataset.file: there is no file 'none.yaml' in"):
        make_source(root, file="none.yaml").check()


def test_a_list_that_cannot_be_read_is_named(make_source, make_yolo):
    root = make_yolo(text="train: list.txt\nnames: [cat, dog]")
    (root / "list.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=r"the list '.*list.txt' cannot be read: .*Expected one path a line"):
        make_source(root).check()


def test_a_folder_that_cannot_be_read_is_named(make_source, make_yolo, monkeypatch):
    scan = os.scandir

    def refuse(folder):
        if os.fsdecode(folder).rstrip("/").endswith("images/train"):
            raise PermissionError(13, "Permission denied")
        return scan(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(UserError, match=r"the folder '.*images/train' cannot be read: .*Permission denied"):
        make_source(make_yolo()).check()


def test_two_images_of_one_label_file_are_one_and_it_is_said(make_source, make_yolo, save_image):
    root = make_yolo({"train": 6, "val": 2})
    save_image(root / "images/train/train3.jpg", size=(30, 40), seed=9)
    splits = make_source(root).splits(seed=0)
    assert sizes(splits) == {"train": 6, "val": 2}
    assert [(finding.code, finding.places) for finding in splits.findings] == [
        ("name-repeated", (str(root / "images/train/train3.png"),))
    ]


def test_one_image_in_two_splits_keeps_its_label_file(make_source, make_yolo):
    root = make_yolo(text="train: images/train\nval: images/train\nnames: [cat, dog]")
    assert make_source(root, allow_overlap=True).splits(seed=0).samples["val"].annotations.counts.tolist() == [1] * 6


def test_files_of_other_endings_among_the_images_are_counted_once(make_source, make_yolo):
    root = make_yolo(text="train: images/train\nval: images/val\ntest: images/val\nnames: [cat, dog]")
    for name in ("train/a.heic", "val/b.HEIC", "val/c.psd"):
        (root / "images" / name).write_bytes(b"x")
    findings = make_source(root, allow_overlap=True).splits(seed=0).findings
    assert [f.text for f in findings if f.code == "file-no-image"] == [
        "3 file(s) of an ending that is not read left out: 2 .heic, 1 .psd"
    ]


def test_a_listed_file_of_another_ending_is_counted_and_one_that_begins_as_an_image_is_read(make_source, make_yolo):
    root = make_yolo(text="train: train.txt\nval: images/val\nnames: [cat, dog]")
    names = [f"images/train/train{index}.png" for index in range(6)]
    (root / names[0]).rename(root / "images/train/train0.picture")
    (root / "images/train/train1.heic").write_bytes(b"x")
    (root / "train.txt").write_text("\n".join(["images/train/train0.picture", "images/train/train1.heic", *names[2:]]))
    splits = make_source(root).splits(seed=0)
    assert sizes(splits) == {"train": 5, "val": 2}
    assert "1 file(s) of an ending that is not read left out: 1 .heic" in splits.notes


def test_a_listed_file_is_found_by_the_last_parts_of_its_path(make_source, make_yolo):
    root = make_yolo({"train": 6, "val": 2}, text="train: train.txt\nval: images/val\nnames: [cat, dog]")
    lines = [rf"D:\old\train\train{index}.png" for index in range(5)] + [r"D:\old\train\val0.png"]
    (root / "train.txt").write_text("\n".join(lines))
    splits = make_source(root).splits(seed=0)
    assert sizes(splits) == {"train": 5, "val": 2}
    (note,) = (f.note for f in splits.findings if f.code == "image-listed-missing")
    assert note.startswith("1 listed image(s) of train that do not exist dropped")


def test_the_same_folder_for_train_and_val_is_read_where_it_is_allowed(make_source, make_yolo):
    root = make_yolo(text="train: images/train\nval: images/train\nnames: [cat, dog]")
    assert sizes(make_source(root, allow_overlap=True).splits(seed=0)) == {"train": 6, "val": 6}
