"""What lies among the images of a data set and is not read."""

import os

import pytest

from visionkit.data.sources import parse_source
from visionkit.data.sources.image_lists import ImageLists


@pytest.fixture
def root(tmp_path, save_image):
    save_image(tmp_path / "a/1.png")
    save_image(tmp_path / "a/b/1.jpg")
    for name in ("a/x.heic", "a/b/y.heic", "a/notes.txt"):
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


def test_a_folder_within_a_listed_one_is_counted_once(root):
    lists = ImageLists(root, own_endings={".txt"})
    assert lists.images("a/b") == {"1.jpg": "a/b/1.jpg"}
    assert lists.images("a") == {"1.png": "a/1.png", "b/1.jpg": "a/b/1.jpg"}
    assert lists.images(str(root / "a")) == {"1.png": f"{root}/a/1.png", "b/1.jpg": f"{root}/a/b/1.jpg"}
    assert [finding.text for finding in lists.findings()] == [
        "2 file(s) of an ending that is not read left out: 2 .heic"
    ]


def test_images_that_differ_in_their_ending_alone_are_dropped_but_for_the_first(root, save_image):
    save_image(root / "a/1.jpg")
    findings = []
    assert ImageLists(root).stems("a", findings) == {"1": "a/1.jpg", "b/1": "a/b/1.jpg"}
    assert [(finding.code, finding.places) for finding in findings] == [("name-repeated", ("a/1.png",))]


def test_arrays_beside_an_image_of_their_name_are_said_by_their_path_from_the_root(root):
    for name in ("a/1.npy", "a/b/1.npy", "a/b/alone.npy"):
        (root / name).write_bytes(b"x")
    lists = ImageLists(root)
    assert list(lists.images("a").values()) == ["a/1.png", "a/b/1.jpg", "a/b/alone.npy"]
    lists.images("a/b")
    assert [finding.places for finding in lists.findings() if finding.code == "array-beside-image"] == [
        ("a/1.npy", "a/b/1.npy")
    ]


def test_links_to_nothing_are_named_by_their_path_from_the_root(root):
    os.symlink("nowhere", root / "a/b/link.png")
    lists = ImageLists(root)
    lists.images("a")
    assert lists.findings()[0].places == ("a/b/link.png",)


def test_a_listed_file_is_read_by_its_ending_or_its_first_bytes(root):
    (root / "a/1.png").rename(root / "a/1.picture")
    lists = ImageLists(root)
    assert [lists.is_read(name) for name in ("a/b/1.jpg", "a/1.picture", "a/x.heic")] == [True, True, False]
    assert [finding.text for finding in lists.findings()] == [
        "1 file(s) of an ending that is not read left out: 1 .heic"
    ]


@pytest.fixture
def make_form(make_coco, make_yolo, make_voc, tmp_path, save_image):
    """A data set in one of the forms."""

    def make(form):
        made = {"coco": make_coco, "yolo": make_yolo, "voc": make_voc}
        if form in made:
            return made[form]()
        for index in range(4):
            save_image(tmp_path / "own/images" / f"{index}.jpg", seed=index)
            save_image(tmp_path / "own/masks" / f"{index}.png", mode="L", seed=index)
        return tmp_path / "own"

    return make


@pytest.mark.parametrize("form", ["coco", "yolo", "voc", "masks"])
def test_every_form_says_which_arrays_beside_its_images_are_left_out(make_form, settings, form):
    root = make_form(form)
    images = [path for path in root.rglob("*") if path.suffix in (".jpg", ".png") and path.parent.name != "masks"]
    for path in images:
        path.with_suffix(".npy").write_bytes(b"x")
    changes = {"masks": {"class_map": {"0-127": "a", "128-255": "b"}}}.get(form, {})
    findings = parse_source(settings(form, root=str(root), image_size=16, **changes)).splits(seed=0).findings
    assert [finding.count for finding in findings if finding.code == "array-beside-image"] == [len(images)]
