import io
import os
import socket

import pytest
from PIL import Image

from visionkit.data.image_files import LeftOut, scan_images, walk_images
from visionkit.errors import UserError


def walk(folder, left_out=None) -> list[str]:
    return sorted(walk_images(folder, left_out))


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP"])
def test_a_file_without_an_ending_is_read_by_its_first_bytes(tmp_path, form):
    content = io.BytesIO()
    Image.new("RGB", (4, 4)).save(content, form)
    (tmp_path / "plain").write_bytes(content.getvalue())
    (tmp_path / "dot.").write_bytes(content.getvalue())
    (tmp_path / "image.unknown").write_bytes(content.getvalue())
    assert walk(tmp_path) == ["dot.", "plain"]


@pytest.mark.parametrize("content", [b"", b"BM", b"BMW is a car", b"RIFF1234WAVE", b"\x89PNG", b"GIF1234", b"II*"])
def test_a_file_without_an_ending_that_is_no_image_is_left_out_and_counted(tmp_path, content):
    (tmp_path / "plain").write_bytes(content)
    left_out = LeftOut()
    assert walk(tmp_path, left_out) == []
    assert left_out.endings == {"without an ending": 1}


def test_what_is_left_out_is_counted_by_ending_the_most_frequent_first(tmp_path):
    for name in ("a.heic", "b.HEIC", "c.txt", "d.jpg", "Thumbs.db", "desktop.ini", ".DS_Store"):
        (tmp_path / name).write_bytes(b"x")
    left_out = LeftOut()
    assert walk(tmp_path, left_out) == ["d.jpg"]
    assert [finding.note for finding in left_out.findings()] == [
        "3 file(s) of an ending that is not read left out: 2 .heic, 1 .txt"
    ]


def test_pipes_sockets_and_links_to_nothing_are_no_files_and_are_not_opened(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the path of a socket is short
    os.mkfifo("pipe.jpg")
    os.mkfifo("pipe")
    os.symlink("pipe", "link")
    os.symlink("nothing", "gone.png")
    os.symlink("circle.png", "circle.png")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.jpg")
        left_out = LeftOut()
        assert walk(tmp_path, left_out) == []
    assert sorted(left_out.special) == ["circle.png", "gone.png", "link", "pipe", "pipe.jpg", "socket.jpg"]
    assert left_out.findings()[0].note.startswith("6 link(s) to nothing, pipes or devices left out: ")


def test_links_are_followed_but_never_in_circles(tmp_path):
    (tmp_path / "root" / "a" / "b").mkdir(parents=True)
    (tmp_path / "store").mkdir()
    (tmp_path / "root" / "a" / "x.jpg").write_bytes(b"x")
    (tmp_path / "store" / "y.jpg").write_bytes(b"y")
    os.symlink(tmp_path / "store", tmp_path / "root" / "linked")
    os.symlink(tmp_path / "store" / "y.jpg", tmp_path / "root" / "z.jpg")
    os.symlink(tmp_path / "root" / "a", tmp_path / "root" / "a" / "b" / "up")
    os.symlink(tmp_path / "root", tmp_path / "store" / "back")
    assert walk(tmp_path / "root") == ["a/x.jpg", "linked/y.jpg", "z.jpg"]


def test_a_link_has_the_inode_of_its_target(tmp_path):
    (tmp_path / "x.jpg").write_bytes(b"x")
    os.symlink("x.jpg", tmp_path / "y.jpg")
    os.link(tmp_path / "x.jpg", tmp_path / "z.jpg")
    inode = (tmp_path / "x.jpg").stat().st_ino
    assert dict(scan_images(os.fsencode(tmp_path))) == {b"x.jpg": inode, b"y.jpg": inode, b"z.jpg": inode}


def test_a_name_that_is_no_utf_8_is_found_and_can_be_opened(tmp_path):
    (tmp_path / os.fsdecode(b"caf\xe9.jpg")).write_bytes(b"x")
    (name,) = walk(tmp_path)
    assert os.fsencode(name) == b"caf\xe9.jpg"
    assert (tmp_path / name).read_bytes() == b"x"


def test_paths_are_relative_to_the_root_below_a_folder_of_it(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "x.jpg").write_bytes(b"x")
    assert [name for name, _ in scan_images(os.fsencode(tmp_path), b"a/")] == [b"a/b/x.jpg"]


def test_a_folder_that_cannot_be_listed_is_named(tmp_path):
    with pytest.raises(UserError, match=r"the folder '.*none' cannot be read: No such file or directory. Expected"):
        walk(tmp_path / "none")


def test_the_endings_of_installed_plug_ins_are_read(tmp_path, monkeypatch):
    (tmp_path / "photo.HEIC").write_bytes(b"x")
    monkeypatch.setattr("visionkit.data.image_files.readable_suffixes", lambda: frozenset({".heic"}))
    assert walk(tmp_path) == ["photo.HEIC"]
    monkeypatch.setattr("visionkit.data.image_files.readable_suffixes", lambda: frozenset({".jpg"}))
    assert walk(tmp_path) == []
