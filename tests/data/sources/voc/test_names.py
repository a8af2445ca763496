import codecs

import pytest

from visionkit.data.sources.voc.names import find_stem, read_list, stem_of, unique_base_names
from visionkit.errors import UserError


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("IMG (3)", "IMG (3)"),
        ("IMG (3).jpg", "IMG (3)"),
        ("IMG (3) -1", "IMG (3)"),
        ("IMG (3).jpg  1", "IMG (3)"),
        ("a.b", "a.b"),
        ("a.b.jpg", "a.b"),
        ("a.b.PNG 0", "a.b"),
        ("2008_000008 -1", "2008_000008"),
        ("JPEGImages/a.b.jpg", "a.b"),
        ("C:\\data\\JPEGImages\\a.b.jpg", "a.b"),
        ("sub/c.jpg", "sub/c"),
        ("row 1", "row 1"),
        ("IMG", None),
        ("a", None),
        ("", None),
    ],
)
def test_a_name_stands_for_an_image_with_or_without_ending_folder_and_label(name, stem):
    assert find_stem(name, {"IMG (3)", "a.b", "2008_000008", "sub/c", "row 1", "row"}) == stem


@pytest.mark.parametrize(
    "content",
    [
        b"a b\nc\na b\n",
        codecs.BOM_UTF8 + b"a b\r\nc\r\n",
        "a b\r\nc\r\n".encode("utf-16"),
        b"  a b \r\r\nc",
    ],
)
def test_a_list_is_read_with_byte_order_marks_and_any_ends_of_lines(tmp_path, content):
    (tmp_path / "train.txt").write_bytes(content)
    assert read_list(tmp_path / "train.txt") == ["a b", "c"]


def test_a_list_in_another_encoding_is_an_error(tmp_path):
    (tmp_path / "train.txt").write_bytes(b"\xe9t\xe9")
    with pytest.raises(UserError, match=r"train.txt' cannot be read: .*Expected an image's name per line"):
        read_list(tmp_path / "train.txt")


def test_only_the_ending_of_an_image_is_no_part_of_the_name():
    assert [stem_of(name) for name in ("a.b.jpg", "a.b", "v1.2", "x.TIFF")] == ["a.b", "a.b", "v1.2", "x"]


def test_base_names_that_two_images_share_are_left_out():
    assert unique_base_names(["x/a", "y/a", "y/b"]) == {"b": "y/b"}
