"""What lies wrongly in the folders and files of YOLO's form, and what is said of it."""

import pytest

from visionkit.data.sources import parse_source
from visionkit.errors import UserError

SPLITS = "train: images/train\nval: images/val\n"


@pytest.fixture
def make_source(settings):
    return lambda root, **changes: parse_source(settings("yolo", root=str(root), image_size=32, **changes))


def sizes(splits) -> dict[str, int]:
    return {name: len(samples) for name, samples in splits.samples.items()}


def test_a_label_file_is_not_that_of_an_image_whose_name_differs_in_case(make_source, make_yolo, save_image):
    root = make_yolo()
    save_image(root / "images/train/Train0.png", size=(30, 40), seed=50)
    splits = make_source(root).splits(seed=0)
    samples = splits.samples["train"]
    counts = {samples.name(index)[-10:]: len(samples.annotation(index)) for index in range(len(samples))}
    assert (counts["Train0.png"], counts["train0.png"], len(samples)) == (0, 1, 7)
    assert [(finding.code, finding.count) for finding in splits.findings] == [("image-no-labels", 1)]
    (root / "images/train/train0.png").unlink()
    assert make_source(root).splits(seed=0).samples["train"].annotations.counts.tolist() == [1] * 6


@pytest.mark.parametrize("empty", [True, False])
def test_a_test_split_that_was_not_exported_is_said_and_left_out(make_source, make_yolo, empty):
    root = make_yolo(text=f"{SPLITS}test: ../images/test\nnames: [cat, dog]")
    if empty:
        (root / "images/test").mkdir()
    source = make_source(root)
    splits = source.splits(seed=0)
    assert sizes(splits) == {"train": 6, "val": 2}
    (note,) = splits.notes
    assert note.startswith("1 split(s) without images or annotations left out: test: ")
    with pytest.raises(UserError, match=r"split\(s\) without images or annotations left out: test"):
        source.check(strict=True)


def test_a_val_split_that_does_not_exist_is_still_an_error(make_source, make_yolo):
    root = make_yolo(text="train: images/train\nval: images/nowhere\nnames: [cat, dog]")
    with pytest.raises(UserError, match=r"has val: images/nowhere, but there is no such folder"):
        make_source(root).check()


@pytest.mark.parametrize(("names", "is_said"), [("cat\ndog\n", False), ("cat\n", False), ("dog\ncat\n", True)])
def test_class_names_in_another_order_among_the_labels_are_said(make_source, make_yolo, names, is_said):
    root = make_yolo()
    (root / "labels/train/classes.txt").write_text(names)
    notes = make_source(root).splits(seed=0).notes
    expected = (
        "1 file(s) among the labels that name the classes otherwise than the data set's file: cat, dog: "
        f"{root}/labels/train/classes.txt (dog, cat)"
    )
    assert notes == ([expected] if is_said else [])


def test_a_yaml_file_further_down_is_named(make_source, make_yolo):
    root = make_yolo()
    (root / "cfg").mkdir()
    (root / "data.yaml").rename(root / "cfg/data.yaml")
    with pytest.raises(UserError, match=r"found none. Is it this one\? dataset.file=cfg/data.yaml"):
        make_source(root).check()
    splits = make_source(root, file="cfg/data.yaml").splits(seed=0)
    assert sizes(splits) == {"train": 6, "val": 2}
    assert splits.samples["val"].name(0) == str(root / "images/val/val0.png")


def test_names_in_two_forms_of_unicode_belong_together(make_source, make_yolo):
    root = make_yolo(text="train: caf\u00e9.txt\nval: images/val\nnames: [caf\u00e9, dog]")
    for index in range(6):
        (root / f"images/train/train{index}.png").rename(root / f"images/train/e\u0301{index}.png")
        (root / f"labels/train/train{index}.txt").rename(root / f"labels/train/\u00e9{index}.txt")
    (root / "cafe\u0301.txt").write_text("".join(f"images/train/\u00e9{index}.png\n" for index in range(6)))
    splits = make_source(root).splits(seed=0)
    assert (sizes(splits), splits.notes) == ({"train": 6, "val": 2}, [])
    assert splits.samples["train"].annotations.counts.tolist() == [1] * 6


def test_two_classes_of_one_name_and_one_without_an_object_are_said(make_source, make_yolo):
    root = make_yolo(names="[cat, dog, cat, bird]")
    assert make_source(root).splits(seed=0).notes == [
        "1 class(es) written like another or almost, each a class of its own: cat and cat",
        "2 class(es) that no training image has: cat, bird",
    ]
