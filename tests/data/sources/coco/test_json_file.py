import json

import pytest

from visionkit.data.sources import parse_source
from visionkit.data.sources.coco import json_file
from visionkit.errors import UserError

TRAIN = "annotations/instances_train2017.json"


@pytest.fixture
def make_source(settings):
    return lambda root, **changes: parse_source(settings("coco", root=str(root), image_size=32, **changes))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_byte_order_marks_are_read_over(make_source, make_coco, encoding):
    root = make_coco()
    (root / TRAIN).write_text((root / TRAIN).read_text(), encoding=encoding)
    assert make_source(root).splits(seed=0).samples["train"].annotations.counts.tolist() == [1, 2, 1, 2]


def test_lists_nested_too_deep_are_named(make_source, make_coco):
    root = make_coco()
    (root / TRAIN).write_text("[" * 100_000)
    with pytest.raises(UserError, match=r"cannot be read as JSON: its lists are nested too deep. Expected"):
        make_source(root).check()


@pytest.mark.parametrize("key", ["segmentation", "bbox", "id", "image_id", "category_id", "area", "iscrowd"])
def test_a_deep_entry_is_as_good_as_none(make_source, make_coco, key):
    deep = "[" * 900 + "]" * 900
    root = make_coco(change=lambda content: content["annotations"][0].update({key: "DEEP"}))
    (root / TRAIN).write_text((root / TRAIN).read_text().replace('"DEEP"', deep))
    for target in ("boxes", "instances"):
        samples = make_source(root).for_target(target).splits(seed=0).samples["train"]
        is_needed = key in ("bbox", "image_id", "category_id") or (key == "segmentation" and target == "instances")
        assert samples.annotations.counts.tolist() == [0 if is_needed else 1, 2, 1, 2]


def test_numbers_of_too_many_digits_are_named(make_source, make_coco):
    root = make_coco()
    (root / TRAIN).write_text('{"images": [' + "1" * 5000 + "]}")
    with pytest.raises(UserError, match=r"cannot be read as JSON: .*digits"):
        make_source(root).check()


def test_a_file_above_the_bound_is_not_read(make_source, make_coco, monkeypatch):
    monkeypatch.setattr(json_file, "MAX_BYTES", 100)
    with pytest.raises(UserError, match=r"_train2017.json' has 0.0 GiB. Expected at most 0 GiB. Divide it"):
        make_source(make_coco()).check()


VIA = {"filename": "a.jpg", "size": 1, "regions": []}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"version": "5", "shapes": [], "imagePath": "a.jpg"}, r"form of labelme, not of COCO. .*Try: pip install"),
        ({"a.jpg1": VIA}, r"form of VGG Image Annotator \(VIA\), not of COCO. In VIA choose"),
        ({"_via_settings": {}, "_via_img_metadata": {}}, r"VGG Image Annotator"),
        ([{"image": "a.jpg", "annotations": []}], r"form of CreateML, not of COCO"),
        ([{"id": 1, "data": {}, "annotations": []}], r"form of Label Studio, not of COCO. In Label Studio choose"),
        ([{"image_id": 1, "category_id": 1, "bbox": [], "score": 1}], r"COCO's results, .* model's predictions"),
        ({"description": "", "tags": [], "size": {}, "objects": []}, r"form of Supervisely"),
        ({"images": [], "annotations": [{"segments_info": []}]}, r"panoptic segmentation, .*file of instances"),
    ],
)
def test_other_forms_are_recognised_and_told_what_to_do(make_source, make_tree, content, words):
    root = make_tree({"images": 1})
    (root / "labels.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=words):
        make_source(root).check()


def test_a_folder_of_labelme_files_is_recognised(make_source, make_tree):
    root = make_tree({"images": 1})
    for number in range(12):
        (root / f"{number}.json").write_text(json.dumps({"shapes": [], "imagePath": f"{number}.jpg"}))
    with pytest.raises(UserError, match=r"0.json' is in the form of labelme"):
        make_source(root).check()
    (root / "0.json").write_text("{}")
    with pytest.raises(UserError, match=r"several files .* of train: 0.json, .* and 2 more. Say which"):
        make_source(root).check()


@pytest.mark.parametrize("name", ["valves", "prevalence", "contrain", "testimony"])
def test_splits_are_whole_words_of_file_names(make_source, make_coco, name):
    root = make_coco()
    (root / f"annotations/{name}.json").write_text("{}")
    splits = make_source(root).splits(seed=0)
    assert {split: len(samples) for split, samples in splits.samples.items()} == {"train": 4, "val": 2}
    assert splits.notes[0].endswith(f"for others have one: annotations/{name}.json")


@pytest.mark.parametrize("name", ["Instances_Val2017", "valid", "my-validation-v2", "dev"])
def test_words_of_file_names_are_those_of_all_data_sets(make_source, make_coco, name):
    root = make_coco()
    (root / "annotations/instances_val2017.json").rename(root / f"annotations/{name}.json")
    assert len(make_source(root).splits(seed=0).samples["val"]) == 2


def test_a_file_in_the_folder_of_a_split_is_that_splits_in_any_case(make_source, make_coco):
    root = make_coco()
    for split, folder in (("train", "Training"), ("val", "Valid")):
        (root / f"{split}2017").rename(root / folder)
        (root / f"annotations/instances_{split}2017.json").rename(root / folder / "_annotations.coco.json")
    splits = make_source(root).splits(seed=0)
    assert {split: len(samples) for split, samples in splits.samples.items()} == {"train": 4, "val": 2}
