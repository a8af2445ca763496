"""Reads within bounds, writes that are whole, and numbers for JSON."""

import os
from pathlib import Path

import pytest

from visionkit.errors import UserError
from visionkit.files import (
    check_file_size,
    check_writable,
    expand_user,
    read_text,
    similar_path,
    write_atomic,
)


def test_a_file_is_written_with_the_folders_above_it(tmp_path):
    write_atomic(tmp_path / "a" / "b" / "f", "é")
    assert (tmp_path / "a" / "b" / "f").read_bytes() == "é".encode()


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    write_atomic(tmp_path / "f", b"old")
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        write_atomic(tmp_path / "f", "new")
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("f", "old")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_text_is_read_without_its_byte_order_mark(tmp_path, encoding):
    (tmp_path / "f").write_bytes("0 é\r\n".encode(encoding))
    assert read_text(tmp_path / "f") == "0 é\r\n"


def test_a_file_that_is_too_large_is_refused_before_it_is_read(tmp_path):
    with (tmp_path / "f").open("wb") as file:
        file.truncate(300 * 1024**2)
    with pytest.raises(UserError, match=r"'.*/f' has 300 MiB, and such a file is read up to 200 MiB. Expected a small"):
        read_text(tmp_path / "f")
    check_file_size(tmp_path / "f", max_bytes=300 * 1024**2)


def test_a_pipe_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "f")
    with pytest.raises(OSError, match="no regular file"):
        read_text(tmp_path / "f")


def test_a_folder_that_can_be_made_is_writable_and_nothing_is_left(tmp_path):
    check_writable(tmp_path / "a" / "b", where="run_dir")
    check_writable(tmp_path, where="run_dir")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("file", "'{}/file' is a file"),
        ("file/inner/b", "'{}/file' is a file"),
        ("link", "'{}/link' is a link to what is not there"),
        ("x" * 300, "file name too long"),
        ("/".join(["abcdefgh"] * 600), "file name too long"),
    ],
)
def test_a_folder_that_cannot_be_made_says_why(tmp_path, name, reason):
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    with pytest.raises(UserError) as error:
        check_writable(tmp_path / name, where="run_dir")
    assert f"cannot be written: {reason.format(tmp_path)}. Expected one that is there or can be made." in str(
        error.value
    )


def test_a_read_only_folder_is_named(tmp_path):
    """Only the kernel may write below /proc, whoever asks; it takes no files elsewhere in it."""
    with pytest.raises(UserError, match=r"run_dir: the folder '/proc/x/y' cannot be written: '/proc': "):
        check_writable(Path("/proc/x/y"), where="run_dir")


def test_what_lies_beside_a_missing_file_is_named(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / ".photo").mkdir()
    assert similar_path(tmp_path / "photo") == f" Did you mean '{tmp_path / 'photos'}'?"
    assert similar_path(tmp_path / "zzzz") == ""
    assert similar_path(tmp_path / "nowhere" / "photos") == ""


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("~nobody_of_this_name/a.png", r"'~nobody_of_this_name' stands for the home.*Expected a path such as ~/a.png"),
        ("a\0.png", r'the path "a\\u0000.png" has a character of the code 0'),
    ],
)
def test_a_path_that_no_system_has_is_a_user_error(path, message):
    with pytest.raises(UserError, match=message):
        expand_user(path)
    assert expand_user("~/a") == Path.home() / "a"
