import os
from pathlib import Path

import pytest

from visionkit.data.images import ImageFiles, is_image_name, walk_images
from visionkit.errors import UserError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.jpg", "a.PNG", "deep/er/c.webp", "notes.txt", ".hidden.jpg", ".cache/d.jpg", "__MACOSX/e.jpg"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return tmp_path / "in"


def test_a_folder_gives_its_images_sorted_and_with_those_of_its_sub_folders(folder: Path):
    assert [str(path.relative_to(folder)) for path in ImageFiles(str(folder))] == ["a.PNG", "b.jpg", "deep/er/c.webp"]


def test_a_glob_gives_the_images_that_match(folder: Path):
    files = ImageFiles(str(folder / "**" / "*"))
    assert [path.name for path in files] == ["a.PNG", "b.jpg", "c.webp"]
    assert len(files) == 3
    assert files[0].name == "a.PNG"


def test_one_file_is_taken_whatever_its_suffix(folder: Path):
    assert ImageFiles(str(folder / "notes.txt")).paths == (folder / "notes.txt",)


def test_a_file_whose_name_looks_like_a_pattern_is_a_file(tmp_path: Path):
    (tmp_path / "a[1].png").write_bytes(b"x")
    assert len(ImageFiles(str(tmp_path / "a[1].png"))) == 1


def test_links_that_lead_round_are_followed_once(folder: Path):
    os.symlink(folder, folder / "deep" / "round")
    assert sorted(walk_images(folder)) == ["a.PNG", "b.jpg", "deep/er/c.webp"]


@pytest.mark.parametrize(("name", "is_image"), [("a.JPEG", True), ("a.tif", True), ("a.txt", False), (".a.jpg", False)])
def test_image_names_are_told_by_their_suffix(name, is_image):
    assert is_image_name(name) is is_image


def test_no_source_says_what_to_type():
    with pytest.raises(UserError, match=r"source is not given.*Try: source=photo.jpg"):
        ImageFiles("")


def test_a_source_that_is_nowhere_is_named():
    with pytest.raises(UserError, match=r"no file or folder 'nowhere/x.jpg'.*Try: 'source="):
        ImageFiles("nowhere/x.jpg")


def test_a_folder_without_images_lists_the_suffixes(tmp_path: Path):
    with pytest.raises(UserError, match=r"no images in the folder '.*'. Expected files ending in .*\.jpg"):
        ImageFiles(str(tmp_path))


def test_a_pattern_that_matches_nothing_is_named(tmp_path: Path):
    with pytest.raises(UserError, match=r"no images match '.*\*\.jpg'"):
        ImageFiles(str(tmp_path / "*.jpg"))
