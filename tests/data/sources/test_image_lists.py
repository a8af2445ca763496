"""What lies among the images of a data set and is not read."""

import os

import pytest

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
