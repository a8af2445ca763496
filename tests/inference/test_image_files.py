"""What ``predict source=...`` takes for images, and that nothing is left out unsaid."""

import os
from pathlib import Path

import pytest

from visionkit.errors import UserError
from visionkit.inference.image_files import ImageFiles


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.jpg", "a.PNG", "deep/er/c.webp", "notes.txt", ".hidden.jpg", ".cache/d.jpg", "__MACOSX/e.jpg"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return tmp_path / "in"


def names(files: ImageFiles, folder: Path) -> list[str]:
    return [str(path.relative_to(folder)) for path in files]


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


def test_a_list_gives_the_images_of_each_of_its_parts_once(folder: Path):
    files = ImageFiles(f"[{folder}/b.jpg, {folder}/deep, {folder}/*.jpg]")
    assert names(files, folder) == ["b.jpg", "deep/er/c.webp"]


@pytest.mark.parametrize("pattern", ["", "*", "**/*", "**"])
def test_what_is_no_image_is_counted_by_its_ending_as_training_does(folder: Path, pattern):
    os.mkfifo(folder / "pipe.jpg")
    os.symlink("nowhere", folder / "link.png")
    (folder / "IMG_1.HEIC").write_bytes(b"x")
    files = ImageFiles(str(folder / pattern))
    texts = {finding.code: finding.note for finding in files.findings}
    assert [path.name for path in files][:2] == ["a.PNG", "b.jpg"]
    assert texts["file-no-image"] == "2 file(s) of an ending that is not read left out: 1 .heic, 1 .txt"
    assert texts["file-special"].startswith("2 link(s) to nothing, pipes or devices left out: ")


def test_what_a_pattern_does_not_match_is_not_counted(folder: Path):
    assert ImageFiles(str(folder / "**" / "*.jpg")).findings == []
    assert names(ImageFiles(str(folder / "**" / "*.jpg")), folder) == ["b.jpg"]
    assert names(ImageFiles(str(folder / "d*" / "**" / "c.*")), folder) == ["deep/er/c.webp"]


def test_links_in_circles_end_and_give_each_file_once(folder: Path):
    for name in ("one", "two"):
        os.symlink(folder, folder / "deep" / name)
    assert names(ImageFiles(str(folder / "**" / "*")), folder) == ["a.PNG", "b.jpg", "deep/er/c.webp"]


def test_a_hidden_folder_that_is_spelled_out_is_entered(folder: Path):
    assert names(ImageFiles(str(folder / ".cache" / "*.jpg")), folder) == [".cache/d.jpg"]
    assert names(ImageFiles(str(folder / ".cache")), folder) == [".cache/d.jpg"]
    assert names(ImageFiles(str(folder / "__MACOSX" / "*")), folder) == ["__MACOSX/e.jpg"]
    assert names(ImageFiles(str(folder / ".hid*")), folder) == [".hidden.jpg"]


def test_a_pattern_of_folders_skips_those_of_systems(folder: Path):
    assert names(ImageFiles(str(folder / "*" / "*" / "*")), folder) == ["deep/er/c.webp"]
    with pytest.raises(UserError, match="no images match"):
        ImageFiles(str(folder / "*" / "e.jpg"))


def test_a_folder_of_what_is_not_read_says_what_was_found_and_what_to_type(tmp_path: Path):
    (tmp_path / "a.heic").write_bytes(b"x")
    with pytest.raises(UserError, match=r"Found: 1 file\(s\) of an ending .*: 1 \.heic\. Convert them.* pip install"):
        ImageFiles(str(tmp_path))


def test_a_pipe_is_no_source(tmp_path: Path):
    os.mkfifo(tmp_path / "a.jpg")
    with pytest.raises(UserError, match=r"a.jpg' is a link to nothing, a pipe or a device\. Expected an image"):
        ImageFiles(str(tmp_path / "a.jpg"))


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
