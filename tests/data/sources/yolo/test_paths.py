"""Paths as people and tools wrote them, found on this computer."""

import pytest

from visionkit.data.sources.yolo.paths import FolderListings, PathFinder


@pytest.fixture
def find(tmp_path):
    """Finds a path below ``root``, which has images/train and two folders called ``part``; relative to ``tmp_path``."""
    for folder in ("root/images/train", "root/a/part", "root/b/part", "root/a/only/here", "outside/train"):
        (tmp_path / folder).mkdir(parents=True)
    for file in ("images/train/x.jpg", "list.txt"):
        (tmp_path / "root" / file).touch()
    finder = PathFinder([tmp_path / "root"], FolderListings())

    def relative(text):
        found = finder.find(text.replace("TMP", str(tmp_path)))
        return None if found is None else found.removeprefix(f"{tmp_path}/")

    return relative


@pytest.mark.parametrize(
    "text",
    [
        "images/train",
        "./images/train/",
        "../images/train",
        "../../images/train",
        "images\\train",
        ".\\images\\train",
        "Images/TRAIN",
        "C:\\data\\set\\images\\train",
        "d:/data/images/train",
        "\\\\server\\share\\images\\train",
        "/content/set/images/train",
        "/workspace/Images/train",
        "'images/train'",
        "TMP/root/images/train",
        "data/set/images/train",
    ],
)
def test_a_folder_is_found_however_it_is_written(find, text):
    assert find(text) == "root/images/train"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (".", "root"),
        ("..", ""),
        ("../outside/train", "outside/train"),
        ("TMP/outside/train", "outside/train"),
        ("/content/only/here", "root/a/only/here"),
        ("only/here", "root/a/only/here"),
        ("/content/part", None),
        ("/content/none", None),
        ("other/images", None),
        ("data/x.jpg", None),
        ("/content/x.jpg", None),
        ("data/list.txt", "root/list.txt"),
        ("a\0b", None),
        ("/x" * 5_000, None),
    ],
)
def test_a_tail_counts_where_it_is_unique(find, tmp_path, text, found):
    assert find(text) == (str(tmp_path) if found == "" else found)


def test_a_folder_of_the_set_comes_before_one_beside_it(find, tmp_path):
    (tmp_path / "images/train").mkdir(parents=True)
    assert find("../images/train") == "root/images/train"


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("images/train/x.jpg", "images/train/x.jpg"),
        ("data\\images\\train\\x.jpg", "images/train/x.jpg"),
        ("/content/data/images/train/x.jpg", "images/train/x.jpg"),
        ("data/train/x.jpg", "images/train/x.jpg"),
        ("images/train/gone.jpg", "images/train/gone.jpg"),
        ("/content/none/gone.jpg", "content/none/gone.jpg"),
    ],
)
def test_a_listed_file_is_found_or_said_where_it_should_be(find, tmp_path, line, found):
    finder = PathFinder([tmp_path / "root"], FolderListings())
    expected = f"/{found}" if found.startswith("content") else str(tmp_path / "root" / found)
    assert [finder.find_listed(line) for _ in range(2)] == [expected] * 2
