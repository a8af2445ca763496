"""Exports without a YAML file."""

import pytest

from visionkit.data.sources import parse_source
from visionkit.errors import UserError


@pytest.fixture
def make_source(settings):
    return lambda root, **changes: parse_source(settings("yolo", root=str(root), image_size=32, **changes))


@pytest.fixture
def make_images(tmp_path, save_image):
    """Images with a label file each: ``make_images("train/a", labels="train")`` makes train/a.png and train/a.txt."""

    def make(*names, labels="labels"):
        for number, name in enumerate(names):
            image = save_image(tmp_path / f"{name}.png", size=(30, 40), seed=number)
            file = tmp_path / labels / f"{image.stem}.txt"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{number % 2} 0.5 0.5 0.25 0.5\n")
        return tmp_path

    return make


def sizes(source) -> dict[str, int]:
    return {name: len(samples) for name, samples in source.splits(seed=0).samples.items()}


NAMES = [f"images/{letter}" for letter in "abcdefghijklmnopqrst"]


@pytest.mark.parametrize("file", ["classes.txt", "labels/classes.txt", "obj.names", "data/my.names"])
def test_class_names_alone_suffice_and_are_said(make_source, make_images, file):
    root = make_images(*NAMES)
    (root / file).parent.mkdir(exist_ok=True)
    (root / file).write_bytes("\ufeffcat\r\ndog\r\n\r\n".encode())
    splits = make_source(root).splits(seed=0)
    assert {name: len(samples) for name, samples in splits.samples.items()} == {"train": 14, "val": 3, "test": 3}
    assert splits.notes[0] == f"no YAML file with names: the 2 class(es) are those of {file}"
    assert make_source(root).info().class_names == ("cat", "dog")
    assert splits.samples["train"].annotation(0).boxes.tolist() == [[15, 7.5, 25, 22.5]]


def test_obj_data_says_splits_and_names(make_source, make_images):
    root = make_images("obj_train_data/a", "obj_train_data/b", "obj_train_data/c", labels="obj_train_data")
    (root / "obj.data").write_text(
        "classes = 2\ntrain = data/train.txt\nvalid = data/valid.txt\nnames = data/obj.names\nbackup = backup/\n"
    )
    (root / "obj.names").write_text("cat\ndog\n")
    (root / "train.txt").write_text("data/obj_train_data/a.png\ndata/obj_train_data/b.png\n")
    (root / "valid.txt").write_text("data/obj_train_data/c.png\n")
    for given in (root, root / "obj.data"):
        source = make_source(given)
        assert sizes(source) == {"train": 2, "val": 1}
        assert source.info().class_names == ("cat", "dog")
        assert source.splits(seed=0).samples["train"].annotation(1).labels.tolist() == [1]
    (root / "obj.data").write_text("train = nowhere.txt\nnames = obj.names")
    with pytest.raises(UserError, match=r"obj.data' has train = nowhere.txt, but there is no such file"):
        make_source(root).check()


@pytest.mark.parametrize("images", ["train/a valid/b test/c", "images/train/a images/Val/b images/test/c"])
def test_folders_that_are_called_as_splits_are_splits(make_source, make_images, images):
    for name in images.split():
        folder = name.rpartition("/")[0]
        root = make_images(name, labels=folder.replace("images", "labels"))
    (root / "classes.txt").write_text("cat\ndog")
    assert sizes(make_source(root)) == {"train": 1, "val": 1, "test": 1}


def test_lists_that_are_called_as_splits_are_splits(make_source, make_images):
    root = make_images(*NAMES[:3])
    (root / "classes.txt").write_text("cat\ndog")
    (root / "train.txt").write_text("images/a.png\nimages/b.png")
    (root / "val.txt").write_text("images/c.png")
    assert sizes(make_source(root)) == {"train": 2, "val": 1}


def test_files_of_class_names_that_differ_ask_for_one(make_source, make_images):
    root = make_images(*NAMES)
    (root / "classes.txt").write_text("cat\ndog")
    (root / "labels/classes.txt").write_text("cat\ndog\n")
    assert make_source(root).info().class_names == ("cat", "dog")
    (root / "labels/classes.txt").write_text("dog\ncat\n")
    with pytest.raises(UserError, match=r"names in '.*' differ: classes.txt, labels/classes.txt.*Try: dataset.file=cl"):
        make_source(root).check()
    assert make_source(root, file="labels/classes.txt").info().class_names == ("dog", "cat")


def test_an_empty_file_and_no_file_of_class_names_are_errors(make_source, make_images):
    root = make_images(*NAMES[:2])
    with pytest.raises(
        UserError, match=r"expected one YAML file with names in '.*', found none. Write data.yaml .* classes.txt with"
    ):
        make_source(root).check()
    (root / "classes.txt").write_text("\n")
    with pytest.raises(UserError, match=r"classes.txt' is empty. Expected a class name per line"):
        make_source(root).check()


def test_a_split_that_is_a_link_to_another_may_be_allowed(make_source, make_images):
    root = make_images("images/train/a", labels="labels/train")
    (root / "images" / "val").symlink_to(root / "images" / "train")
    (root / "labels" / "val").symlink_to(root / "labels" / "train")
    (root / "classes.txt").write_text("cat\ndog")
    with pytest.raises(UserError, match=r"1 file\(s\) of val that are in train too.*dataset.allow_overlap=true"):
        make_source(root).check()
    assert sizes(make_source(root, allow_overlap=True)) == {"train": 1, "val": 1}
