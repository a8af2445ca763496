import json

import pytest

from visionkit.data.sources import parse_source
from visionkit.data.sources.coco.image_paths import FoundImages, find_images
from visionkit.data.sources.image_lists import ImageLists
from visionkit.errors import UserError


@pytest.fixture
def make_source(settings):
    return lambda root, **changes: parse_source(settings("coco", root=str(root), image_size=32, **changes))


def rename(function):
    def change(content):
        for image in content["images"]:
            image["file_name"] = function(image["file_name"])

    return change


@pytest.mark.parametrize(
    ("prefix", "is_elsewhere"),
    [
        ("train2017\\", False),
        (".\\train2017\\", False),
        ("./", False),
        ("C:\\Users\\me\\data\\", True),
        ("/home/me/data/train2017/", True),
        ("file:///data/", True),
        ("up/", True),
    ],
)
def test_images_are_found_as_they_were_named_elsewhere_and_it_is_said(make_source, make_coco, prefix, is_elsewhere):
    root = make_coco(change=rename(lambda name: prefix + name))
    splits = make_source(root).splits(seed=0)
    said = [(finding.code, finding.count) for finding in splits.findings]
    assert said == ([("image-found-elsewhere", 4)] if is_elsewhere else [])
    names = [splits.samples["train"].name(index) for index in range(4)]
    assert names == [str(root / f"train2017/{index:012}.jpg") for index in range(4)]
    assert splits.samples["train"].annotations.counts.tolist() == [1, 2, 1, 2]


def test_the_longest_tail_decides_and_what_stays_open_is_said(tmp_path, save_image):
    for name in ("a/x/1.png", "b/x/1.png", "a/2.png", "b/2.png", "b/3.png", "4.png"):
        save_image(tmp_path / name)
    names = ["D:/old/a/x/1.png", "D:/old/x/1.png", "D:/2.png", "E:/3.png", "4.png", "D:/4.png", "D:/5.png"]
    paths = ["a/x/1.png", None, None, "b/3.png", "4.png", None, None]
    assert find_images(ImageLists(tmp_path), "", names) == FoundImages(paths, ambiguous=[1, 2], elsewhere=[0, 3])


def test_two_names_that_fit_one_file_are_both_ambiguous(tmp_path, save_image):
    save_image(tmp_path / "1.png")
    assert find_images(ImageLists(tmp_path), "", ["a/1.png", "b/1.png"]) == FoundImages([None, None], [0, 1], [])
    assert find_images(ImageLists(tmp_path), "", ["a/1.png", "a/1.png"]) == FoundImages(["1.png"] * 2, [], [0, 1])


def test_ambiguous_images_are_dropped_and_named(make_source, make_coco, save_image):
    root = make_coco({"train": 6}, change=rename(lambda name: f"D:\\{name}"))
    save_image(root / "train2017/copy/000000000001.jpg")
    splits = make_source(root, images={"train": "train2017"}).splits(seed=0)
    elsewhere, finding = splits.findings[:2]
    assert (finding.code, elsewhere.code, elsewhere.count) == ("image-ambiguous", "image-found-elsewhere", 5)
    assert finding.places == ("annotations/instances_train2017.json D:\\000000000001.jpg",)
    assert sum(map(len, splits.samples.values())) == 5


def test_a_name_alone_is_not_taken_from_another_split_or_from_beside_its_folder(tmp_path, save_image):
    for name in ("val/1.png", "cats/2.png", "dogs/3.png"):
        save_image(tmp_path / name)
    names = ["/old/train/1.png", "/old/cats/2.png", "/old/cats/3.png"]
    assert find_images(ImageLists(tmp_path), "", names) == FoundImages([None, "cats/2.png", None], [], [1])


def test_files_of_other_endings_among_the_images_are_counted_once(make_source, make_coco):
    root = make_coco()
    (root / "val2017/more").mkdir()
    for file in ("train2017/photo.heic", "val2017/photo.HEIC", "val2017/more/1.json"):
        (root / file).write_bytes(b"x")
    (finding,) = make_source(root).splits(seed=0).findings
    assert finding.text == "2 file(s) of an ending that is not read left out: 2 .heic"


@pytest.mark.parametrize("name", ["../secret.jpg", "a\0b.jpg", "x" * 5000 + ".jpg", "\ud800.jpg", "", "/" * 9000])
def test_names_that_lead_nowhere_are_missing(make_source, make_coco, save_image, name):
    def change(content):
        content["images"][0]["file_name"] = name

    save_image(make_coco({"train": 6}, change=change) / "../secret.jpg")
    splits = make_source(make_coco({"train": 6}, change=change)).splits(seed=0)
    assert [finding.code for finding in splits.findings if finding.code != "class-untrained"] == ["image-missing"]
    assert sum(map(len, splits.samples.values())) == 5


def test_an_image_listed_twice_has_the_objects_of_both_entries_once(make_source, make_coco):
    def change(content):
        content["images"].append({**content["images"][1], "id": 900})
        repeated, other = ({**content["annotations"][1], "image_id": 900} for _ in range(2))
        content["annotations"] += [{**repeated, "id": 901}, {**other, "id": 902, "bbox": [20, 3, 4, 5]}]

    splits = make_source(make_coco(change=change)).splits(seed=0)
    samples = splits.samples["train"]
    assert [finding.code for finding in splits.findings] == ["image-listed-twice", "annotation-repeated"]
    assert splits.findings[0].places == splits.findings[1].places == ("train2017/000000000001.jpg",)
    assert samples.annotations.counts.tolist() == [1, 3, 1, 2]
    assert samples.annotation(1).boxes.tolist() == [[2.5, 3, 13.5, 15.25], [2.5, 3, 13.5, 15.25], [20, 3, 24, 8]]
    assert samples.annotation(2).boxes.tolist() == [[2.5, 3, 14.5, 15.25]]


def test_a_set_with_an_image_listed_twice_is_divided_and_restored(make_source, make_coco):
    def change(content):
        content["images"].append({**content["images"][0], "id": 900})

    source = make_source(make_coco({"train": 8}, change=change))
    splits = source.splits(seed=0)
    again = source.splits(seed=1, saved=json.loads(json.dumps(splits.saved)))
    assert sum(map(len, again.samples.values())) == 8
    assert again.saved == splits.saved


def test_an_entry_repeated_with_its_id_is_an_image_listed_twice(make_source, make_coco):
    splits = make_source(make_coco(change=lambda c: c["images"].append({**c["images"][0], "id": "100"}))).splits(seed=0)
    assert [finding.code for finding in splits.findings] == ["image-listed-twice"]
    assert splits.samples["train"].annotations.counts.tolist() == [1, 2, 1, 2]


def test_two_images_of_one_id_are_named(make_source, make_coco):
    root = make_coco(change=lambda c: c["images"][1].update(id="100"))
    with pytest.raises(UserError, match=r"two images with the id 100, '000000000000.jpg' and '000000000001.jpg'"):
        make_source(root).check()


def test_the_ids_of_images_are_those_of_the_file(make_source, make_coco):
    root = make_coco(change=lambda content: content["images"][3].update(id="last"))
    source = make_source(root)
    paths = sorted((root / "train2017").iterdir())
    assert source.image_ids(paths) == dict(zip(paths, [100, 101, 102, "last"], strict=True))
    assert source.image_ids([root.parent / "other.jpg"]) == {}
    (root / "annotations/instances_train2017.json").unlink()
    assert make_source(root).image_ids(paths) == {}


def test_names_in_the_other_form_of_unicode_are_found_and_are_no_find_by_tail(tmp_path, save_image):
    for name in ("b/cafe\u0301.png", "ü.png", "u\u0308.png"):
        save_image(tmp_path / name)
    found = find_images(ImageLists(tmp_path), "", ["b/café.png", "u\u0308.png", "ü.png"])
    assert found == FoundImages(["b/cafe\u0301.png", "u\u0308.png", "ü.png"], [], [])


def test_pictures_of_another_folder_are_taken_with_a_word_only_if_all_of_theirs_is_missing(
    make_source, make_coco, save_image
):
    root = make_coco({"train": 8}, change=rename(lambda name: f"A/{name}"))
    (root / "train2017").rename(root / "B")
    splits = make_source(root).splits(seed=0)
    finding = splits.findings[0]
    assert (finding.code, finding.count) == ("image-found-elsewhere", 8)
    assert finding.places[0] == "annotations/instances_train2017.json A/000000000000.jpg (B/000000000000.jpg)"
    (root / "A").mkdir()
    for index in range(7):
        save_image(root / f"A/{index:012}.jpg", size=(30, 40), seed=index)
    splits = make_source(root).splits(seed=0)
    codes = [(finding.code, finding.count) for finding in splits.findings if finding.code.startswith("image")]
    assert codes == [("image-missing", 1)]
    assert sum(map(len, splits.samples.values())) == 7


def test_an_image_in_another_case_is_found_where_it_is_the_only_one_and_it_is_said(tmp_path, save_image):
    for name in ("a/IMG_1.JPG", "b/img_2.jpg", "b/IMG_2.jpg", "b/IMG_3.jpg", "c/img_3.jpg"):
        save_image(tmp_path / name)
    names = ["a/img_1.jpg", "b/Img_2.jpg", "C/IMG_3.jpg", "b/img_3.jpg"]
    found = find_images(ImageLists(tmp_path), "", names)
    assert found == FoundImages(["a/IMG_1.JPG", None, "c/img_3.jpg", "b/IMG_3.jpg"], [1], [0, 2, 3])
