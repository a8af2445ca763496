"""What lies wrongly in the folders and files of VOC's form, and what is said of it."""

from pathlib import Path

import pytest

from visionkit.data.sources import parse_source
from visionkit.errors import UserError


@pytest.fixture
def make_source(settings):
    return lambda root, **changes: parse_source(settings("voc", root=str(root), image_size=32, **changes))


def stems(samples) -> list[int]:
    return sorted(int(Path(samples.name(index)).stem) for index in range(len(samples)))


def test_two_xml_files_of_one_image_are_merged(make_source, make_voc, write_xml):
    root = make_voc(3, lists={"train": [0, 1], "val": [2]})
    objects = [("dog", (5, 5, 30, 20)), ("cat", (2, 3, 20, 25))]
    file = write_xml(root / "Annotations" / "zz.xml", objects)
    file.write_text(file.read_text().replace("zz.jpg", "000.jpg"))
    (root / "ImageSets/Main/train.txt").write_text("000\nzz\n001\n")
    splits = make_source(root).splits(seed=0)
    assert stems(splits.samples["train"]) == [0, 1]
    assert splits.samples["train"].annotation(0).boxes.tolist() == [[1, 2, 20, 25], [4, 4, 30, 20]]
    assert splits.notes == [
        "1 image(s) listed twice merged: Annotations/zz.xml",
        "1 object(s) annotated twice dropped once: JPEGImages/000.jpg",
    ]


def test_val_is_what_its_list_says_and_train_the_rest_of_trainval(make_source, make_voc):
    root = make_voc(8, lists={"trainval": [0, 1, 2, 3, 4, 5], "val": [1, 4], "test": [6, 7]})
    splits = make_source(root).splits(seed=0)
    found = {split: stems(samples) for split, samples in splits.samples.items()}
    assert found == {"train": [0, 2, 3, 5], "val": [1, 4], "test": [6, 7]}
    assert splits.saved is None


def test_folders_of_classes_below_annotations_are_read_together(make_source, make_voc):
    root = make_voc(8, annotations="Annotations/cats", images="JPEGImages/cats")
    for folder in ("Annotations", "JPEGImages"):
        (root / folder / "dogs").mkdir()
        for file in sorted((root / folder / "cats").iterdir())[:3]:
            file.rename(root / folder / "dogs" / file.name)
    splits = make_source(root).splits(seed=0)
    assert sum(map(len, splits.samples.values())) == 8
    assert not any("dropped" in note for note in splits.notes)
    given = make_source(root, annotations="Annotations").splits(seed=0)
    assert given.saved == splits.saved


@pytest.mark.parametrize(
    ("xml", "images"),
    [("{}", "{}"), ("{}/xml", "{}/images"), ("ann/{}", "images"), ("all/ann/{}", "all/images")],
)
def test_a_folder_of_each_class_is_read_where_no_name_is_repeated(make_source, make_voc, xml, images):
    root = make_voc(8, annotations=xml.format("cats"), images=images.format("cats"))
    for folder, count in ((xml, 3), (images, 3 if "{}" in images else 0)):
        (root / folder.format("dogs")).mkdir(parents=True, exist_ok=True)
        endings = (".xml",) if folder == xml and folder != images else (".xml", ".jpg")
        files = [f for f in sorted((root / folder.format("cats")).iterdir()) if f.suffix in endings] if count else []
        for file in files:
            if int(file.stem) < count:
                file.rename(root / folder.format("dogs") / file.name)
    samples = make_source(root).splits(seed=0).samples
    assert sorted(number for split in samples.values() for number in stems(split)) == list(range(8))


def test_folders_of_classes_in_those_of_splits_are_read_as_these_splits(make_source, make_voc):
    root = make_voc(8, annotations="train/Annotations/cats", images="train/images")
    make_voc(4, annotations="val/Annotations/cats", images="val/images")
    for split in ("train", "val"):
        (root / split / "Annotations/dogs").mkdir()
        (root / split / "Annotations/cats/001.xml").rename(root / split / "Annotations/dogs/001.xml")
    samples = make_source(root).splits(seed=0).samples
    assert {split: stems(found) for split, found in samples.items()} == {"train": list(range(8)), "val": [0, 1, 2, 3]}


def test_two_annotations_of_the_same_images_are_not_read_as_one(make_source, make_voc):
    root = make_voc(4, annotations="first", images="images")
    make_voc(4, annotations="second", images="images")
    message = r"first, second; of one name are first/000\.xml and second/000\.xml\. .*dataset\.annotations=FOLDER"
    with pytest.raises(UserError, match=message):
        make_source(root).splits(seed=0)


def test_folders_that_a_word_for_a_split_is_in_are_not_read_as_one(make_source, make_voc):
    root = make_voc(4, annotations="xml_train", images="images")
    (root / "xml_val").mkdir()
    (root / "xml_train/003.xml").rename(root / "xml_val/003.xml")
    with pytest.raises(UserError, match=r"hold XML files: xml_train, xml_val\. "):
        make_source(root).splits(seed=0)


@pytest.mark.parametrize("listed", ["img_a", "IMG_A"])
def test_an_image_in_another_case_than_its_xml_file_is_paired_and_said(make_source, make_voc, listed):
    root = make_voc(4, lists={"train": [0, 1], "val": [2]})
    (root / "JPEGImages/000.jpg").rename(root / "JPEGImages/IMG_A.JPG")
    (root / "Annotations/000.xml").rename(root / "Annotations/img_a.xml")
    (root / "ImageSets/Main/train.txt").write_text(f"{listed}\n001\n")
    splits = make_source(root).splits(seed=0)
    assert {Path(splits.samples["train"].name(row)).name for row in range(2)} == {"001.jpg", "IMG_A.JPG"}
    found = {finding.code: finding.places for finding in splits.findings}
    assert found["name-other-case"] == ("JPEGImages/IMG_A.JPG and Annotations/img_a.xml",)


def test_an_image_is_not_paired_in_another_case_beside_its_own_xml_file(make_source, make_voc, write_xml):
    root = make_voc(4)
    (root / "JPEGImages/000.jpg").rename(root / "JPEGImages/A.jpg")
    for name in ("A", "a"):
        write_xml(root / f"Annotations/{name}.xml", [("cat", (2, 3, 20, 25))])
    (root / "Annotations/000.xml").unlink()
    found = {finding.code: finding.places for finding in make_source(root).splits(seed=0).findings}
    assert found["image-missing"] == ("Annotations/a.xml",)
    assert "name-other-case" not in found


def test_a_test_folder_without_xml_files_is_said(make_source, make_voc, save_image):
    root = make_voc(5, annotations="train/Annotations", images="train/JPEGImages")
    save_image(root / "test/a.jpg")
    (finding,) = make_source(root).splits(seed=0).findings[:1]
    assert finding.note == "1 image(s) without an annotation file dropped: test/a.jpg"


@pytest.mark.parametrize("word", ["1", "true", " True ", "yes"])
def test_difficult_is_written_in_several_ways(make_source, make_voc, write_xml, word):
    root = make_voc(4, lists={"train": [0, 1, 2], "val": [3]})
    write_xml(root / "Annotations/000.xml", [("cat", (2, 3, 20, 25))], extra=f"<difficult>{word}</difficult>")
    samples = make_source(root, difficult="ignore").splits(seed=0).samples["train"]
    assert samples.annotation(0).crowd.tolist() == [True]
    assert samples.annotation(1).crowd.tolist() == [False, False]


def test_classes_that_differ_in_case_alone_are_said(make_source, make_voc, write_xml):
    root = make_voc(4, lists={"train": [0, 1, 2], "val": [3]})
    write_xml(root / "Annotations/000.xml", [("Cat ", (2, 3, 20, 25))])
    source = make_source(root)
    assert source.info().class_names == ("Cat", "cat", "dog")
    assert source.splits(seed=0).notes == [
        "1 class(es) written like another or almost, each a class of its own: Cat and cat"
    ]
    with pytest.raises(UserError, match=r"Cat and cat. Spell them alike, if they are one class"):
        source.splits(seed=0, strict=True)


def test_a_class_of_val_alone_is_said(make_source, make_voc):
    splits = make_source(make_voc(4, lists={"train": [0, 2], "val": [1, 3]})).splits(seed=0)
    assert splits.notes == ["1 class(es) that no training image has: dog"]


def test_fractions_instead_of_pixels_are_an_error(make_source, make_voc, write_xml):
    root = make_voc(4)
    for index in range(4):
        write_xml(root / f"Annotations/{index:03}.xml", [("cat", (0.1, 0.2, 0.9, 0.8))])
    for first_pixel in (0, 1):
        with pytest.raises(UserError, match=r"the boxes of all 4 objects of train .*Expected pixels. Multiply x by"):
            make_source(root, first_pixel=first_pixel).check()


def test_names_in_two_forms_of_unicode_belong_together(make_source, save_image, write_xml, tmp_path):
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    for number in range(4):
        save_image(tmp_path / "JPEGImages" / f"{composed}{number}.jpg", size=(30, 40), seed=number)
        name = composed if number % 2 else decomposed
        write_xml(tmp_path / "Annotations" / f"{decomposed}{number}.xml", [(name, (2, 3, 20, 25))])
    (tmp_path / "ImageSets/Main").mkdir(parents=True)
    (tmp_path / "ImageSets/Main/train.txt").write_text("".join(f"{decomposed}{n}\n" for n in range(3)))
    (tmp_path / "ImageSets/Main/val.txt").write_text(f"{composed}3\n")
    source = make_source(tmp_path)
    assert source.info().class_names == (composed,)
    splits = source.splits(seed=0)
    assert ({split: len(samples) for split, samples in splits.samples.items()}, splits.notes) == (
        {"train": 3, "val": 1},
        [],
    )
