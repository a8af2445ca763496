import json
from pathlib import Path

import numpy
import pytest
from pycocotools.coco import COCO

from visionkit.data.sources import parse_source
from visionkit.errors import UserError


@pytest.fixture
def make_source(settings):
    return lambda root, **changes: parse_source(settings("coco", root=str(root), image_size=32, **changes))


def sizes(splits) -> dict[str, int]:
    return {name: len(samples) for name, samples in splits.samples.items()}


def train(source):
    return source.splits(seed=0).samples["train"]


def test_category_ids_with_gaps_become_class_ids_from_zero_and_keep_names_and_numbers(make_source, make_coco):
    info = make_source(make_coco()).info()
    assert info.class_names == ("car", "train", "brush")
    assert info.category_ids == (3, 7, 90)


def test_boxes_labels_crowds_and_areas_are_those_of_pycocotools(make_source, make_coco, capsys):
    root = make_coco({"train": 6, "val": 2})
    source = make_source(root)
    samples, info = train(source), source.info()
    reference = COCO(str(root / "annotations" / "instances_train2017.json"))
    assert len(samples) == len(reference.imgs) == 6
    ids = {image["file_name"]: number for number, image in reference.imgs.items()}
    for index in range(6):
        expected = reference.imgToAnns[ids[Path(samples.name(index)).name]]
        found = samples.annotation(index)
        assert [info.category_ids[label] for label in found.labels.tolist()] == [a["category_id"] for a in expected]
        xywh = [[x, y, x2 - x, y2 - y] for x, y, x2, y2 in found.boxes.tolist()]
        assert xywh == [a["bbox"] for a in expected]
        assert found.crowd.tolist() == [a["iscrowd"] == 1 for a in expected]
        assert found.area.tolist() == [a["area"] for a in expected]


def test_train_and_val_alone_make_no_test_split(make_source, make_coco):
    splits = make_source(make_coco()).splits(seed=0)
    assert sizes(splits) == {"train": 4, "val": 2}
    assert (splits.saved, splits.notes) == (None, [])


def test_one_file_is_divided_and_the_division_saved(make_source, make_coco):
    root = make_coco({"train": 20})
    (root / "annotations/instances_train2017.json").rename(root / "annotations/all.json")
    source = make_source(root)
    splits = source.splits(seed=0)
    assert sizes(splits) == {"train": 14, "val": 3, "test": 3}
    assert len({name for names in splits.saved.values() for name in names}) == 20
    assert sizes(source.splits(seed=5, saved=splits.saved)) == sizes(splits)


def test_a_file_beside_the_images_of_each_split_is_understood(make_source, make_coco, tmp_path):
    root = make_coco({"train": 4, "val": 2})
    for split, folder in (("train", "train"), ("val", "valid")):
        (tmp_path / "export").mkdir(exist_ok=True)
        (root / f"{split}2017").rename(tmp_path / "export" / folder)
        (root / f"annotations/instances_{split}2017.json").rename(
            tmp_path / "export" / folder / "_annotations.coco.json"
        )
    assert sizes(make_source(tmp_path / "export").splits(seed=0)) == {"train": 4, "val": 2}


def test_files_and_folders_may_be_given(make_source, make_coco):
    root = make_coco()
    (root / "annotations/instances_train2017.json").rename(root / "mine.json")
    (root / "train2017").rename(root / "pictures")
    with pytest.raises(UserError, match=r"found .*instances_val2017.json, but no file for train. Try: dataset.annot"):
        make_source(root).check()
    source = make_source(root, annotations={"train": "mine.json"}, images={"train": "pictures"}, test_fraction=0)
    assert sizes(source.splits(seed=0)) == {"train": 3, "val": 1}


def test_a_given_file_that_is_missing_is_named(make_source, make_coco):
    with pytest.raises(UserError, match=r"dataset.annotations.val: there is no file '.*none.json'. Expected a JSON"):
        make_source(make_coco(), annotations={"val": "none.json"}).check()


def test_two_files_for_one_split_ask_for_one(make_source, make_coco):
    root = make_coco()
    (root / "annotations/train_mine.json").write_text("{}")
    with pytest.raises(
        UserError, match=r"several files may hold the annotations of train: .*dataset.annotations.train="
    ):
        make_source(root).check()


def test_captions_and_keypoints_beside_the_instances_are_passed_over(make_source, make_coco):
    root = make_coco()
    (root / "annotations/captions_train2017.json").write_text("{}")
    assert make_source(root).check() is None


def test_images_without_objects_are_kept_as_background(make_source, make_coco):
    samples = train(
        make_source(make_coco(change=lambda content: content.update(annotations=content["annotations"][:1])))
    )
    assert [len(samples.annotation(index)) for index in range(4)] == [1, 0, 0, 0]


def annotate(**changes):
    """Change the second annotation, which is the first of the second image."""
    return lambda content: content["annotations"][1].update(changes)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (annotate(bbox=[5, 5, 0, 10]), "box(es) of no width or height dropped"),
        (annotate(bbox=[5, 5, -3, 10]), "box(es) of no width or height dropped"),
        (annotate(bbox=[float("nan"), 5, 3, 10]), "box(es) whose coordinates are no numbers dropped"),
        (annotate(bbox=[50, 5, 3, 10]), "box(es) outside the image dropped"),
        (annotate(bbox=[30, 5, 30, 10]), "box(es) that reach out of the image clipped"),
        (annotate(image_id=77), "annotation(s) of an image that is not listed dropped"),
        (annotate(bbox=None), "object(s) without a box given the box of their outline"),
        (annotate(bbox=None, segmentation=[]), "annotation(s) without an image, a category or a box of four numbers"),
        (annotate(bbox="1234"), "annotation(s) without an image, a category or a box of four numbers dropped"),
        (annotate(bbox=[10**400, 2, 3, 4]), "annotation(s) without an image, a category or a box of four numbers"),
        (annotate(bbox=[1e308, 2, 1e308, 4]), "box(es) whose coordinates are no numbers dropped"),
        (annotate(category_id=True), "annotation(s) without an image, a category or a box of four numbers dropped"),
        (annotate(image_id=2**70), "annotation(s) of an image that is not listed dropped"),
        (annotate(bbox=[1, 2, 3]), "annotation(s) without an image, a category or a box of four numbers dropped"),
        (annotate(image_id=None), "annotation(s) without an image, a category or a box of four numbers dropped"),
    ],
)
def test_odd_annotations_are_mended_or_dropped_counted_and_named(make_source, make_coco, change, words):
    source = make_source(make_coco(change=change))
    splits = source.splits(seed=0)
    (note,) = splits.notes
    assert note.startswith(f"1 {words}")
    assert note.endswith(": annotations/instances_train2017.json annotation 10")
    objects = splits.samples["train"].annotations.objects
    assert numpy.isfinite(objects.boxes).all()
    assert len(objects) == (6 if "clipped" in words or "given" in words else 5)
    if "clipped" in words:
        assert [30, 5, 40, 15] in objects.boxes.tolist()
    with pytest.raises(UserError, match=r"dataset 'coco': .*/instances_train2017.json annotation 10. "):
        source.check(strict=True)


def test_an_annotation_that_is_no_mapping_is_dropped_and_named(make_source, make_coco):
    splits = make_source(make_coco(change=lambda content: content["annotations"].insert(0, "x"))).splits(seed=0)
    assert splits.notes == [
        "1 annotation(s) without an image, a category or a box of four numbers dropped: "
        "annotations/instances_train2017.json annotation number 1"
    ]


def test_a_missing_image_is_dropped_with_its_annotations_and_named(make_source, make_coco):
    root = make_coco()
    (root / "train2017" / "000000000000.jpg").unlink()
    source = make_source(root)
    splits = source.splits(seed=0)
    assert sizes(splits) == {"train": 3, "val": 2}
    assert splits.notes == [
        "1 annotation(s) for a missing image dropped: annotations/instances_train2017.json 000000000000.jpg"
    ]
    assert [len(splits.samples["train"].annotation(index)) for index in range(3)] == [2, 1, 2]


def test_a_category_that_is_not_defined_is_an_error(make_source, make_coco):
    with pytest.raises(UserError, match=r"annotation 10 has category_id 8, which .*Expected one of \[3, 7, 90\]"):
        make_source(make_coco(change=annotate(category_id=8))).check()


def test_an_area_that_is_missing_or_no_number_is_that_of_the_box(make_source, make_coco):
    samples = train(make_source(make_coco(change=annotate(area=float("nan"), bbox=[2, 3, 10, 12]))))
    assert float(samples.annotation(1).area[0]) == 120


def test_outlines_of_any_form_are_read_over(make_source, make_coco):
    def change(content):
        content["annotations"][0]["segmentation"] = {"counts": [1, 2], "size": [30, 40]}
        content["annotations"][1]["segmentation"] = []
        content["annotations"][2]["segmentation"] = [[1e-3, 2, 3.5, 4], [5, 6]]

    assert len(train(make_source(make_coco(change=change))).annotations.objects) == 6


@pytest.mark.parametrize("text", ["{", '{"images": [}', "\xff"])
def test_json_that_does_not_parse_is_named(make_source, make_coco, text):
    root = make_coco()
    (root / "annotations/instances_train2017.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match=r"instances_train2017.json' cannot be read as JSON: .*Expected COCO's images"):
        make_source(root).check()


def test_an_error_in_json_is_named_at_its_true_place(make_source, make_coco):
    root = make_coco()
    file = root / "annotations/instances_train2017.json"
    text = file.read_text()[:-1] + "x"
    file.write_text(text)
    with pytest.raises(UserError, match=rf"line 1 column {len(text)}"):
        make_source(root).check()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c.pop("annotations"), r"has no list 'annotations'; found the keys images, categories"),
        (lambda c: c.update(images=[]), r"lists no images"),
        (
            lambda c: c["images"][0].pop("id"),
            r"each of the images needs an id, a number or a text, and a file_name; number 1 has the id nothing",
        ),
        (lambda c: c["images"][0].update(file_name=3), r"expected a word as file_name, found 3"),
        (lambda c: c["images"][1].update(id=100), r"has two images with the id 100"),
        (lambda c: c["categories"][1].pop("name"), r"each of the categories needs an id and a name"),
        (lambda c: c["categories"][1].update(id=90), r"has 3 categories with 2 different ids"),
        (lambda c: c.update(annotations=[]), r"no annotation at all: no object"),
    ],
)
def test_a_file_of_another_form_is_named(make_source, make_coco, change, words):
    def empty_too(content):
        change(content)

    root = make_coco({"train": 4}, change=empty_too)
    with pytest.raises(UserError, match=words):
        make_source(root).check()


def test_a_file_that_holds_a_list_is_named(make_source, make_coco):
    root = make_coco()
    (root / "annotations/instances_train2017.json").write_text("[1]")
    with pytest.raises(UserError, match=r"instances_train2017.json' holds \[1\]. Expected a mapping"):
        make_source(root).check()


def test_images_that_are_nowhere_are_an_error(make_source, make_coco):
    root = make_coco()
    (root / "train2017").rename(root / "elsewhere")
    with pytest.raises(
        UserError, match=r"such as '000000000000.jpg', are in none of the folders .*dataset.images.train"
    ):
        make_source(root).check()
    (root / "val2018").mkdir()
    with pytest.raises(UserError, match=r"dataset.images.train: none of the 4 images of .* is in '.*val2018'"):
        make_source(root, images={"train": "val2018"}).check()


def test_a_val_without_objects_is_an_error_for_no_epoch_could_be_judged(make_source, make_coco):
    root = make_coco()
    file = root / "annotations/instances_val2017.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "annotations": []}))
    words = r"no object is marked in any of the 2 images of val in .* Without a val of its own, images are held out"
    with pytest.raises(UserError, match=words):
        make_source(root).check()


def test_a_test_without_objects_is_noted_for_it_has_no_precision(make_source, make_coco):
    root = make_coco({"train": 4, "val": 2, "test": 3})
    file = root / "annotations/instances_test2017.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "annotations": []}))
    splits = make_source(root).splits(seed=0)
    assert (sizes(splits)["test"], splits.notes[0].split(":")[0]) == (3, "no object is marked in test")


def test_a_division_that_leaves_val_without_objects_says_how_to_make_another(make_source, make_coco):
    root = make_coco({"train": 12}, change=lambda c: c.update(annotations=c["annotations"][:1]))
    with pytest.raises(UserError, match=r"any of the 2 images of val in .* Try another division: dataset.split_seed"):
        make_source(root).splits(seed=0)


def test_files_of_one_name_are_told_apart_where_annotations_are_odd(make_source, make_coco, tmp_path):
    root = make_coco(change=lambda c: c["annotations"][0].update(bbox=[5, 5, 0, 10]))
    for split, folder in (("train", "train"), ("val", "valid")):
        (root / f"{split}2017").rename(root / folder)
        (root / f"annotations/instances_{split}2017.json").rename(root / folder / "_annotations.coco.json")
    assert make_source(root).splits(seed=0).notes == [
        "1 box(es) of no width or height dropped: train/_annotations.coco.json annotation 0"
    ]


def test_no_json_file_is_an_error(make_source, make_tree):
    with pytest.raises(UserError, match=r"no annotation at all: no JSON file in"):
        make_source(make_tree({"train2017": 2})).check()


def test_checking_needs_no_torch(make_coco):
    import subprocess
    import sys

    settings = json.dumps({"type": "coco", "root": str(make_coco()), "image_size": 32})
    code = (
        "import json, sys; from visionkit.data.sources import read_source\n"
        f"read_source(json.loads({settings!r})).check()\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]
