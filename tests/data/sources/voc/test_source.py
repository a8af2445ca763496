import os
import re
from pathlib import Path

import numpy
import pytest

from tests.helpers.paths import SHARED_DATA
from visionkit.data.sources import parse_source
from visionkit.errors import UserError

BCCD = SHARED_DATA / "bccd"


@pytest.fixture
def make_source(settings):
    return lambda root, **changes: parse_source(settings("voc", root=str(root), image_size=32, **changes))


def sizes(splits) -> dict[str, int]:
    return {name: len(samples) for name, samples in splits.samples.items()}


def stems(samples) -> list[int]:
    return [int(Path(samples.name(index)).stem) for index in range(len(samples))]


def test_the_lists_of_image_sets_are_followed_in_their_order(make_source, make_voc):
    root = make_voc(8, lists={"train": [5, 1, 2], "val": [0, 3], "test": [7], "trainval": [0, 1, 2, 3, 5]})
    splits = make_source(root).splits(seed=0)
    assert {name: stems(samples) for name, samples in splits.samples.items()} == {
        "train": [5, 1, 2],
        "val": [0, 3],
        "test": [7],
    }
    assert splits.saved is None
    assert splits.notes == []


def test_pixels_counted_from_one_become_corners_counted_from_zero(make_source, make_voc):
    root = make_voc(2, lists={"train": [1], "val": [0]})
    found = make_source(root).splits(seed=0).samples["train"].annotation(0)
    assert found.boxes.tolist() == [[1, 2, 20, 25], [10, 0, 40, 30]]
    assert found.boxes.dtype == numpy.float32
    assert found.labels.tolist() == [0, 1]
    assert found.area.tolist() == [19 * 23, 30 * 30]
    again = make_source(root, first_pixel=0).splits(seed=0).samples["train"].annotation(0)
    assert again.boxes.tolist() == [[2, 3, 20, 25], [11, 1, 40, 30]]


def test_without_image_sets_the_images_are_divided_and_the_division_saved(make_source, make_voc):
    source = make_source(make_voc(20))
    splits = source.splits(seed=0)
    assert sizes(splits) == {"train": 14, "val": 3, "test": 3}
    assert splits.notes == ["test held out of all images: 3 of 20", "val held out of all images: 3 of 20"]
    everything = [name for names in splits.saved.values() for name in names]
    assert sorted(everything) == [f"JPEGImages/{index:03}.jpg" for index in range(20)]
    again = source.splits(seed=9, saved=splits.saved)
    assert [stems(again.samples[s]) for s in ("train", "val", "test")] == [
        stems(splits.samples[s]) for s in ("train", "val", "test")
    ]
    assert source.splits(seed=9).saved != splits.saved


def test_each_image_keeps_its_own_objects_when_divided(make_source, make_voc):
    for samples in make_source(make_voc(20)).splits(seed=3).samples.values():
        for index, stem in enumerate(stems(samples)):
            assert samples.annotation(index).labels.tolist() == ([0, 1] if stem % 2 else [0])


@pytest.mark.parametrize(("lists", "parts"), [({"trainval": [0, 1, 2, 3, 4, 5], "test": [6, 7]}, (5, 1, 2))])
def test_train_and_validation_in_one_list_are_divided(make_source, make_voc, lists, parts):
    splits = make_source(make_voc(8, lists=lists)).splits(seed=0)
    assert tuple(sizes(splits).values()) == parts
    assert set(splits.saved) == {"train", "val"}


@pytest.mark.parametrize("folders", [("xml", "images"), ("labels/all", "labels/images"), ("mixed", "mixed")])
def test_folders_of_other_names_are_found(make_source, make_voc, folders):
    root = make_voc(4, annotations=folders[0], images=folders[1])
    assert sum(sizes(make_source(root).splits(seed=0)).values()) == 4


def test_folders_may_be_given(make_source, make_voc):
    root = make_voc(4, annotations="a/marks", images="b/pictures")
    with pytest.raises(
        UserError, match=r"no images beside '.*a/marks'. Expected them in a/JPEGImages.*dataset.images="
    ):
        make_source(root).check()
    assert make_source(root, annotations="a/marks", images="b/pictures").check() is None


def test_folders_of_splits_with_images_and_xml_files_are_understood(make_source, save_image, write_xml, tmp_path):
    for number, split in enumerate(("train", "valid", "test")):
        save_image(tmp_path / split / f"{number}.jpg", size=(30, 40))
        write_xml(tmp_path / split / f"{number}.xml", [("cat", (2, 3, 20, 25))])
    splits = make_source(tmp_path).splits(seed=0)
    assert sizes(splits) == {"train": 1, "val": 1, "test": 1}
    assert stems(splits.samples["val"]) == [1]


def test_class_names_come_from_the_files_unless_given(make_source, make_voc):
    root = make_voc(4)
    assert make_source(root).info().class_names == ("cat", "dog")
    source = make_source(root, classes=["dog", "cat", "cow"])
    assert source.info().class_names == ("dog", "cat", "cow")
    objects = source.splits(seed=0).samples["train"].annotations.objects
    assert set(objects.labels.tolist()) == {0, 1}
    assert source.info().category_ids is None


def test_objects_of_other_classes_than_given_are_dropped_and_named(make_source, make_voc):
    source = make_source(make_voc(4), classes=["cat", "dogs"])
    note = source.splits(seed=0).notes[0]
    assert note.startswith(
        "2 object(s) of a class that dataset.classes does not list dropped: Annotations/001.xml object 2 is a 'dog'"
    )
    assert "Did you mean 'dogs'?" in note
    with pytest.raises(UserError, match=r"does not list dropped: .*/001.xml object 2 is a 'dog'.* strict=false it is"):
        source.check(strict=True)


def test_difficult_objects_are_ordinary_or_ignored(make_source, make_voc, write_xml):
    root = make_voc(4)
    write_xml(root / "Annotations" / "000.xml", [("cat", (2, 3, 20, 25))], extra="<difficult>1</difficult>")
    crowds = [
        int(
            sum(
                s.annotations.objects.crowd.sum()
                for s in make_source(root, difficult=d).splits(seed=0).samples.values()
            )
        )
        for d in ("keep", "ignore")
    ]
    assert crowds == [0, 1]


@pytest.mark.parametrize(
    ("box", "words", "remains"),
    [
        ((9, 9, 9, 20), "1 box(es) of no width or height dropped", None),
        ((20, 9, 5, 20), "1 box(es) of no width or height dropped", None),
        ((50, 5, 60, 20), "1 box(es) outside the image dropped", None),
        ((31, 5, 60, 20), "1 box(es) that reach out of the image clipped", [30, 4, 40, 20]),
        ((-9, 5, 20, 20), "1 box(es) that reach out of the image clipped", [0, 4, 20, 20]),
        (("nan", 5, 20, 20), "1 box(es) whose coordinates are no numbers dropped", None),
        (("inf", 5, 20, 20), "1 box(es) whose coordinates are no numbers dropped", None),
        (("x", 5, 20, 20), "1 box(es) whose coordinates are no numbers dropped", None),
        ((31, 5, 41, 20), None, [30, 4, 40, 20]),
    ],
)
def test_odd_boxes_are_mended_or_dropped_counted_and_named(make_source, make_voc, write_xml, box, words, remains):
    root = make_voc(3, lists={"train": [0, 1], "val": [2]})
    write_xml(root / "Annotations" / "000.xml", [("cat", (2, 3, 20, 25)), ("dog", box)])
    source = make_source(root)
    splits = source.splits(seed=0)
    assert splits.notes == ([f"{words}: Annotations/000.xml object 2"] if words else [])
    found = splits.samples["train"].annotation(0)
    assert found.boxes[1:].tolist() == ([remains] if remains else [])
    assert numpy.isfinite(found.boxes).all()
    if words:
        with pytest.raises(UserError, match=r"dataset 'voc': 1 box\(es\) .*/000.xml object 2"):
            source.splits(seed=0, strict=True)


def test_an_image_without_objects_is_kept_as_background(make_source, make_voc, write_xml):
    root = make_voc(3, lists={"train": [0, 1], "val": [2]})
    write_xml(root / "Annotations" / "000.xml", [])
    samples = make_source(root).splits(seed=0).samples["train"]
    assert len(samples) == 2
    assert samples.annotation(0).boxes.shape == (0, 4)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (
            lambda root: (root / "Annotations/002.xml").write_text("<annotation>"),
            r"XML file\(s\) that cannot be parsed",
        ),
        (lambda root: (root / "JPEGImages/002.jpg").unlink(), r"annotation\(s\) for a missing image"),
        (lambda root: (root / "Annotations/002.xml").unlink(), r"image\(s\) without an annotation file"),
    ],
)
def test_what_is_broken_or_unpaired_is_dropped_counted_and_named(make_source, make_voc, spoil, words):
    root = make_voc(9)
    spoil(root)
    source = make_source(root)
    splits = source.splits(seed=0)
    assert sum(sizes(splits).values()) == 8
    assert [note for note in splits.notes if note.startswith("1 ") and "002." in note and "dropped" in note]
    with pytest.raises(UserError, match=rf"dataset 'voc': 1 {words} dropped: .*002"):
        source.check(strict=True)


def test_an_object_without_a_name_is_dropped_and_makes_no_class(make_source, make_voc, write_xml):
    root = make_voc(3, lists={"train": [0, 1], "val": [2]})
    write_xml(root / "Annotations" / "000.xml", [("cat", (2, 3, 20, 25)), (" ", (2, 3, 20, 25))])
    source = make_source(root)
    assert source.info().class_names == ("cat", "dog")
    splits = source.splits(seed=0)
    assert splits.notes == ["1 object(s) without a name dropped: Annotations/000.xml object 2"]
    assert len(splits.samples["train"].annotation(0)) == 1


def test_an_image_that_its_xml_file_calls_by_another_name_is_not_missed(make_source, make_voc):
    root = make_voc(3, lists={"train": [0, 1], "val": [2]})
    (root / "JPEGImages" / "000.jpg").rename(root / "JPEGImages" / "other.jpg")
    file = root / "Annotations" / "000.xml"
    file.write_text(re.sub("<filename>.*</filename>", "<filename>other.jpg</filename>", file.read_text()))
    splits = make_source(root).splits(seed=0)
    assert (sizes(splits), splits.notes) == ({"train": 2, "val": 1}, [])


@pytest.mark.parametrize("ending", ["", ".jpg", " 1", "\r"])
def test_names_with_spaces_and_dots_are_found_by_the_lists(make_source, save_image, write_xml, tmp_path, ending):
    names = [f"IMG ({number})" for number in range(3)] + [f"a.{number}" for number in range(3)]
    for number, name in enumerate(names):
        save_image(tmp_path / "JPEGImages" / f"{name}.jpg", size=(30, 40), seed=number)
        write_xml(tmp_path / "Annotations" / f"{name}.xml", [("cat", (2, 3, 20, 25))])
    lists = tmp_path / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    for split, members in (("train", names[1:]), ("val", names[:1])):
        (lists / f"{split}.txt").write_text("\ufeff" + "".join(f"{name}{ending}\n" for name in members))
    splits = make_source(tmp_path).splits(seed=0, strict=True)
    assert sizes(splits) == {"train": 5, "val": 1}
    assert Path(splits.samples["val"].name(0)).name == "IMG (0).jpg"
    assert len(splits.samples["train"].annotation(4)) == 1


def test_a_listed_image_that_does_not_exist_is_said(make_source, make_voc):
    root = make_voc(4, lists={"train": [0, 1, 8], "val": [2], "test": [9]})
    splits = make_source(root).splits(seed=0)
    assert sizes(splits) == {"train": 2, "val": 1}
    assert splits.notes == [
        "1 listed image(s) of train that do not exist dropped: 008",
        "1 listed image(s) of test that do not exist dropped: 009",
        "1 split(s) without images or annotations left out: test: none of its images is left",
    ]


def test_a_list_of_which_nothing_is_left_is_an_error(make_source, make_voc):
    root = make_voc(4, lists={"train": [0, 1], "val": [7]})
    with pytest.raises(UserError, match=r"no image is left of val in '.*voc'. 1 listed image.*: 007"):
        make_source(root).check()


def test_lists_go_by_other_names_of_the_splits_too(make_source, make_voc):
    root = make_voc(4, lists={"Train": [0, 1], "valid": [2], "Test": [3]})
    assert sizes(make_source(root).splits(seed=0)) == {"train": 2, "val": 1, "test": 1}


@pytest.mark.parametrize("name", ["other.jpg", "JPEGImages/other.jpg", "C:\\photos\\other.jpg", "other"])
def test_the_file_name_of_an_xml_file_may_have_folders(make_source, make_voc, name):
    root = make_voc(3, lists={"train": [0, 1], "val": [2]})
    (root / "JPEGImages" / "000.jpg").rename(root / "JPEGImages" / "other.jpg")
    file = root / "Annotations" / "000.xml"
    file.write_text(file.read_text().replace("<filename>000.jpg</filename>", f"<filename>{name}</filename>"))
    splits = make_source(root).splits(seed=0)
    assert (sizes(splits), splits.notes) == ({"train": 2, "val": 1}, [])


def test_images_in_a_folder_below_are_found_by_their_base_names_and_it_is_said(make_source, make_voc):
    root = make_voc(4, images="JPEGImages/day 1")
    splits = make_source(root).splits(seed=0)
    assert sum(sizes(splits).values()) == 4
    assert splits.notes[0].startswith("4 image(s) that are not where they are listed, found by the last parts of")


def test_an_image_of_the_same_name_in_another_folder_is_not_taken_where_others_lie_right(
    make_source, make_voc, save_image
):
    root = make_voc(5)
    (root / "JPEGImages/003.jpg").unlink()
    save_image(root / "JPEGImages/B/003.jpg", size=(30, 40))
    splits = make_source(root).splits(seed=0)
    assert sum(sizes(splits).values()) == 4
    assert splits.notes[:2] == [
        "1 annotation(s) for a missing image dropped: Annotations/003.xml",
        "1 image(s) without an annotation file dropped: JPEGImages/B/003.jpg",
    ]


def test_of_two_images_that_differ_in_their_ending_the_named_one_is_read(make_source, make_voc, save_image):
    root = make_voc(3, lists={"train": [0, 1], "val": [2]})
    save_image(root / "JPEGImages" / "000.bmp", size=(30, 40))
    splits = make_source(root).splits(seed=0)
    assert splits.notes == ["1 file(s) named like another but for the ending dropped: JPEGImages/000.bmp"]
    assert Path(splits.samples["train"].name(0)).name == "000.jpg"


@pytest.mark.parametrize("size", [(0, 0), (40, 0), None])
def test_sizes_of_zero_are_read_from_the_images(make_source, make_voc, write_xml, size):
    root = make_voc(3, lists={"train": [0, 1], "val": [2]})
    write_xml(root / "Annotations" / "000.xml", [("cat", (2, 3, 99, 25))], size=size)
    splits = make_source(root).splits(seed=0)
    assert splits.notes == [
        "1 annotation file(s) without the size of their image, read from the image: JPEGImages/000.jpg",
        "1 box(es) that reach out of the image clipped: Annotations/000.xml object 1",
    ]
    assert splits.samples["train"].annotation(0).boxes.tolist() == [[1, 2, 40, 25]]


def test_an_encoding_that_is_unknown_is_dropped_and_said(make_source, make_voc):
    root = make_voc(3, lists={"train": [0, 1], "val": [2]})
    file = root / "Annotations" / "000.xml"
    file.write_text('<?xml version="1.0" encoding="klingon"?>' + file.read_text())
    assert make_source(root).splits(seed=0).notes == [
        "1 XML file(s) that cannot be parsed dropped: Annotations/000.xml (the encoding 'klingon' is unknown)"
    ]


def test_many_findings_of_a_kind_are_one_note_with_the_first_names(make_source, make_voc, write_xml):
    root = make_voc(20)
    for index in range(15):
        write_xml(root / "Annotations" / f"{index:03}.xml", [("cat", (5, 5, 5, 5))])
    splits = make_source(root).splits(seed=0)
    assert splits.notes[0].startswith("15 box(es) of no width or height dropped: Annotations/000.xml object 1, Annotat")
    assert splits.notes[0].endswith("002.xml object 1 and 12 more")
    assert splits.findings[0].details.endswith("009.xml object 1 and 5 more")


def test_a_set_without_any_object_is_an_error_that_says_what_was_lost(make_source, make_voc, write_xml):
    root = make_voc(4)
    for index in range(4):
        write_xml(root / "Annotations" / f"{index:03}.xml", [("cat", (5, 5, 5, 5))])
    with pytest.raises(UserError, match=r"no annotation at all: no object .* 4 images .*4 box\(es\) of no width"):
        make_source(root).check()


def test_no_xml_file_at_all_is_an_error(make_source, make_tree):
    with pytest.raises(UserError, match=r"no annotation at all: no XML file in '.*' or its folders. Expected Annot"):
        make_source(make_tree({"JPEGImages": 2})).check()


def test_an_image_in_two_lists_is_an_error(make_source, make_voc):
    root = make_voc(4, lists={"train": [0, 1], "val": [1, 2]})
    with pytest.raises(
        UserError, match=r"1 file\(s\) of val that are in train too: JPEGImages/001.jpg. .*allow_overlap=true"
    ):
        make_source(root).check()


def test_lists_without_train_are_an_error(make_source, make_voc):
    with pytest.raises(UserError, match=r"Main' has val.txt but no train.txt. Expected"):
        make_source(make_voc(4, lists={"val": [1, 2]})).check()


def test_too_few_images_to_divide_are_an_error(make_source, make_voc):
    with pytest.raises(UserError, match=r"has 2 image\(s\), too few to divide in train and test and val. Expected at"):
        make_source(make_voc(2)).check()


@pytest.mark.parametrize("key", ["annotations", "images"])
def test_a_given_folder_that_is_missing_is_named(make_source, make_voc, key):
    with pytest.raises(
        UserError, match=rf"dataset.{key}: there is no folder 'nowhere' in '.*voc'. Expected the folder"
    ):
        make_source(make_voc(3), **{key: "nowhere"}).check()


def test_a_given_folder_without_xml_files_is_named(make_source, make_voc):
    with pytest.raises(UserError, match=r"dataset.annotations: the folder '.*JPEGImages' holds no XML file"):
        make_source(make_voc(3), annotations="JPEGImages").check()


def test_several_folders_of_xml_files_ask_for_one(make_source, make_voc):
    root = make_voc(3, annotations="a/Annotations", images="a/JPEGImages")
    make_voc(3, annotations="b/Annotations", images="b/JPEGImages")
    with pytest.raises(
        UserError, match=r"several folders .* hold XML files: a/Annotations, b/Annotations.*dataset.annotations=FOLDER"
    ):
        make_source(root).check()


def test_a_list_that_cannot_be_read_is_named(make_source, make_voc):
    root = make_voc(3, lists={"train": [0], "val": [1]})
    (root / "ImageSets/Main/val.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=r"val.txt' cannot be read: .*Expected an image's name per line"):
        make_source(root).check()


def test_a_file_of_another_size_than_its_annotation_says_is_no_sample(make_source, make_voc, save_image):
    root = make_voc(3, lists={"train": [0, 1], "val": [2]})
    save_image(root / "JPEGImages" / "001.jpg", size=(60, 80))
    samples = make_source(root).splits(seed=0).samples["train"]
    with pytest.raises(UserError, match=r"001.jpg' is 80x60, but its annotation was made for 40x30"):
        samples.image(1)


def test_bccd_loads_with_its_odd_entries(make_source):
    if not BCCD.is_dir():
        pytest.skip("../shared/data/bccd is absent")
    source = make_source(BCCD)
    splits = source.splits(seed=0)
    assert sizes(splits) == {"train": 205, "val": 87, "test": 72}
    assert source.info().class_names == ("Platelets", "RBC", "WBC")
    (note,) = splits.notes
    assert note.startswith("2 box(es) of no width or height dropped: Annotations/BloodImage_00338.xml object 13, ")
    # the numbers of objects that the XML files hold, by grep
    counts = sum(numpy.bincount(s.annotations.objects.labels, minlength=3) for s in splits.samples.values())
    assert counts.tolist() == [361, 4155 - 2, 372]


def test_folders_of_splits_go_by_any_usual_name(make_source, make_voc):
    root = make_voc(8, annotations="Training/Training", images="Training/Training")
    for split, moved in (("TEST", ("000", "001")), ("Validation", ("002", "003"))):
        (root / split).mkdir()
        for name in moved:
            for ending in (".jpg", ".xml"):
                (root / "Training/Training" / f"{name}{ending}").rename(root / split / f"{name}{ending}")
    splits = make_source(root).splits(seed=0)
    assert {split: len(samples) for split, samples in splits.samples.items()} == {"train": 4, "val": 2, "test": 2}
    assert splits.notes == []


@pytest.mark.timeout(120)
def test_a_pipe_among_the_files_is_not_opened(make_source, make_voc):
    root = make_voc(8)
    os.mkfifo(root / "Annotations" / "pipe.xml")
    os.mkfifo(root / "JPEGImages" / "pipe.jpg")
    (root / "JPEGImages" / "photo.heic").write_bytes(b"x")
    notes = make_source(root).splits(seed=0).notes
    assert "1 link(s) to nothing, pipes or devices left out: JPEGImages/pipe.jpg" in notes
    assert "1 file(s) of an ending that is not read left out: 1 .heic" in notes


def test_lists_go_by_any_usual_name(make_source, make_voc):
    root = make_voc(4, lists={"train": [0, 1, 2], "val": [3]})
    folder = root / "ImageSets" / "Main"
    (folder / "train.txt").rename(folder / "Training Set.txt")
    (folder / "val.txt").rename(folder / "Val-Set.txt")
    splits = make_source(root).splits(seed=0).samples
    assert {split: len(samples) for split, samples in splits.items()} == {"train": 3, "val": 1}
