import json

import pytest

from visionkit.data.sources import parse_source
from visionkit.data.sources.coco.ids import find_ids, normalize_id
from visionkit.errors import UserError


@pytest.fixture
def make_source(settings):
    return lambda root, **changes: parse_source(settings("coco", root=str(root), image_size=32, **changes))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *((15, 15), ("15", 15), (" 015 ", 15), (15.0, 15), ("-3", -3), (2**70, 2**70), (str(2**70), 2**70)),
        *(("a7", "a7"), ("1.5", "1.5"), ("", None), (" ", None), (1.5, None), (float("inf"), None)),
        *((float("nan"), None), (None, None), (True, None), ([1], None), ({}, None)),
    ],
)
def test_an_id_is_a_number_or_a_text_by_one_rule(value, expected):
    assert normalize_id(value) == expected
    assert type(normalize_id(value)) is type(expected)


def test_ids_are_found_the_same_way_whatever_stands_beside_them():
    positions = {15: 0, "a": 1}
    assert [part.tolist() for part in find_ids([15, 16], positions)] == [[0, -1], [True, True]]
    found, valid = find_ids([15, "15", "a", 16, None, True, [15]], positions)
    assert found.tolist() == [0, 0, 1, -1, -1, -1, -1]
    assert valid.tolist() == [True, True, True, True, False, False, False]


def test_ids_of_text_match_ids_of_numbers_and_one_odd_entry_changes_nothing_else(make_source, make_coco):
    def change(content):
        for number, image in enumerate(content["images"]):
            image["id"] = [f"{image['id']}", f"photo-{number}"][number % 2]
        for annotation in content["annotations"]:
            number = annotation["image_id"] - 100
            annotation["image_id"] = [100 + number, f" photo-{number}"][number % 2]
        content["annotations"][2]["bbox"] = "box"

    splits = make_source(make_coco(change=change)).splits(seed=0)
    assert splits.samples["train"].annotations.counts.tolist() == [1, 1, 1, 2]
    assert [finding.code for finding in splits.findings] == ["annotation-invalid"]
    assert splits.findings[0].places == ("annotations/instances_train2017.json annotation 11",)


@pytest.mark.parametrize("is_odd", [False, True])
def test_numbers_written_as_text_are_numbers_with_or_without_an_odd_entry(make_source, make_coco, is_odd):
    def change(content):
        for image in content["images"]:
            image |= {"height": "30", "width": "40"}
        for annotation in content["annotations"]:
            annotation["bbox"] = [str(value) for value in annotation["bbox"]]
        if is_odd:
            content["annotations"][0] |= {"bbox": {}, "area": 10**400}

    samples = make_source(make_coco(change=change)).splits(seed=0).samples["train"]
    assert samples.annotations.counts.tolist() == [0 if is_odd else 1, 2, 1, 2]
    assert samples.annotations.objects.boxes[-1].tolist() == [2.5, 3, 15.5, 15.25]
    assert samples.sizes.tolist() == [[30, 40]] * 4


def test_categories_may_have_texts_as_ids(make_source, make_coco):
    def change(content):
        content["categories"] = [{"id": "b", "name": "x"}, {"id": "20", "name": "y"}, {"id": 3, "name": "z"}]
        for annotation, category in zip(content["annotations"], ["b", 20, "3", "20", "b", 3], strict=True):
            annotation["category_id"] = category

    source = make_source(make_coco({"train": 4}, change=change))
    assert source.info().class_names == ("z", "y", "x")
    assert source.info().category_ids == (3, 20, "b")
    images = source.read().splits["train"]
    assert images.annotations.objects.labels.tolist() == [2, 1, 0, 1, 2, 0]


def test_sizes_that_no_image_has_give_way_to_those_of_the_files(make_source, make_coco):
    odd = [(2**70, 40), (10**400, 40), (float("nan"), 40), ("x", 40), (30, -1), (30, None), (2e5, 2e5), ([30], 40)]

    def change(content):
        for image, (height, width) in zip(content["images"], odd, strict=True):
            image |= {"height": height, "width": width}

    root = make_coco({"train": 8}, change=change)
    (root / "train2017/000000000007.jpg").write_bytes(b"no image")
    assert make_source(root).read().splits["train"].sizes.tolist() == [[30, 40]] * 7 + [[0, 0]]


def edit(root, split, change):
    file = root / f"annotations/instances_{split}2017.json"
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def test_categories_of_val_in_another_order_are_matched_by_name(make_source, make_coco):
    root = make_coco()

    def renumber(content):
        content["categories"] = [{"id": 3, "name": "brush"}, {"id": 4, "name": "car"}]
        for annotation in content["annotations"]:
            annotation["category_id"] = {3: 4, 90: 3}[annotation["category_id"]]

    edit(root, "val", renumber)
    source = make_source(root)
    splits = source.splits(seed=0)
    assert source.info().category_ids == (3, 7, 90)
    assert splits.samples["val"].annotations.objects.labels.tolist() == [0, 0, 2]
    (finding,) = splits.findings
    assert (finding.code, finding.places, finding.values) == ("categories-by-name", ("brush", "car"), {"split": "val"})
    with pytest.raises(UserError, match=r"2 categor\(ies\) of val with another id than in train"):
        make_source(root).check(strict=True)


def test_fewer_categories_in_val_with_the_ids_of_train_are_no_finding(make_source, make_coco):
    root = make_coco()
    edit(root, "val", lambda content: content["categories"].pop())
    splits = make_source(root).splits(seed=0)
    assert splits.samples["val"].annotations.objects.labels.tolist() == [0, 0, 2]
    assert splits.findings == []


def test_a_category_of_val_that_train_does_not_have_is_left_out_if_no_object_has_it(make_source, make_coco):
    root = make_coco()
    edit(root, "val", lambda content: content["categories"].insert(0, {"id": 1, "name": "Car"}))
    splits = make_source(root).splits(seed=0)
    assert splits.notes == ["1 categor(ies) of val that train does not have and no object has, left out: Car"]
    assert splits.samples["val"].annotations.objects.labels.tolist() == [0, 0, 2]
    edit(root, "val", lambda content: content["annotations"][0].update(category_id=1))
    with pytest.raises(UserError, match=r"_val2017.json' has other categories .* \[\"Car\"\]. Did you mean 'car'\?"):
        make_source(root).check()


def test_categories_of_one_name_cannot_be_matched_by_it(make_source, make_coco):
    root = make_coco(change=lambda content: content["categories"].append({"id": 91, "name": "car"}))

    def renumber(content):
        content["categories"][1]["id"] = 92
        content["annotations"] = []

    edit(root, "val", renumber)
    with pytest.raises(UserError, match=r"several categories of one name, \[\"car\"\]"):
        make_source(root).check()


def test_category_names_in_two_forms_of_unicode_are_one(make_source, make_coco):
    root = make_coco(change=lambda content: content["categories"][0].update(name="caf\u00e9"))
    edit(root, "val", lambda content: content["categories"][0].update(name="cafe\u0301"))
    source = make_source(root)
    assert source.info().class_names == ("car", "train", "caf\u00e9")
    assert source.splits(seed=0).notes == []


def test_a_category_without_an_object_and_two_of_one_name_are_said(make_source, make_coco):
    def change(content):
        content["categories"] += [{"id": 0, "name": "things"}, {"id": 91, "name": "Car"}]

    root = make_coco(change=change)
    edit(root, "val", change)
    assert make_source(root).splits(seed=0).notes == [
        "1 class(es) written like another or almost, each a class of its own: car and Car",
        "2 class(es) that no training image has: things, Car",
    ]
