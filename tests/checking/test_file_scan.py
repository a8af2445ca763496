"""What the header and the end of a file say."""

import errno
import io
import os

import numpy
import pytest
from PIL import Image

from visionkit.checking import file_scan
from visionkit.checking.file_record import FORMATS, MODES, Fault
from visionkit.checking.file_scan import scan_files

PICTURE = Image.fromarray(numpy.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=numpy.uint8).repeat(2, 0))


def _encoded(form, **options):
    file = io.BytesIO()
    PICTURE.save(file, form, **options)
    return file.getvalue()


def _with_thumbnail():
    """A JPEG file in whose header another one lies, as cameras write them."""
    small, whole = io.BytesIO(), _encoded("JPEG")
    PICTURE.resize((16, 12)).save(small, "JPEG")
    return whole[:2] + b"\xff\xe1" + (len(small.getvalue()) + 2).to_bytes(2, "big") + small.getvalue() + whole[2:]


def _scan(path, content):
    path.write_bytes(content)
    (record,) = scan_files([os.fsencode(path)])
    return record


WHOLE = {
    "JPEG": _encoded("JPEG"), "progressive": _encoded("JPEG", progressive=True), "thumbnail": _with_thumbnail(),
    "PNG": _encoded("PNG"), "WEBP": _encoded("WEBP"), "BMP": _encoded("BMP"), "GIF": _encoded("GIF"),
    "TIFF": _encoded("TIFF"),
}  # fmt: skip
ENDS = [name for name in WHOLE if name != "TIFF"]


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_file_has_its_size_and_no_fault(tmp_path, name):
    record = _scan(tmp_path / "a", WHOLE[name])
    assert (record["height"], record["width"], Fault(int(record["faults"]))) == (120, 80, Fault(0))
    assert FORMATS[record["format"]] == (name if name in FORMATS else "JPEG")
    assert MODES[record["mode"]] == ("P" if name == "GIF" else "RGB")
    assert (record["bytes"], record["frames"]) == (len(WHOLE[name]), 1)


@pytest.mark.parametrize("name", ENDS)
@pytest.mark.parametrize("share", [0.5, 0.97])
def test_a_file_that_is_cut_is_told(tmp_path, name, share):
    faults = Fault(int(_scan(tmp_path / "a", WHOLE[name][: int(share * len(WHOLE[name]))])["faults"]))
    assert faults in (Fault.TRUNCATED, Fault.BROKEN_HEADER)


@pytest.mark.parametrize("name", [name for name in ENDS if name != "GIF"])
def test_what_is_behind_a_picture_is_told_unless_it_is_padding(tmp_path, name):
    assert _scan(tmp_path / "a", WHOLE[name] + b"<html>" * 9)["faults"] == Fault.TRAILING
    assert _scan(tmp_path / "a", WHOLE[name] + b"\0" * 99)["faults"] == 0


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", Fault.EMPTY), (b"<html>not found</html>" * 9, Fault.NO_IMAGE),
        (b"\xff\xd8\xff\xe0" * 20, Fault.BROKEN_HEADER), (b"\0\0\0\x18ftypheic" + b"\0" * 90, Fault.NO_CODEC),
    ],
)  # fmt: skip
def test_a_file_without_a_picture_is_told_with_its_reason(tmp_path, content, fault):
    record = _scan(tmp_path / "a", content)
    assert record["faults"] == fault
    assert record["width"] == 0


def test_what_is_no_file_or_not_there_is_told(tmp_path):
    found = scan_files([os.fsencode(tmp_path), os.fsencode(tmp_path / "gone")])
    assert found["faults"].tolist() == [Fault.NO_FILE, Fault.MISSING]


def test_the_time_of_a_photo_is_that_of_its_exif(tmp_path):
    exif = Image.Exif()
    exif[0x0132] = "2024:02:29 12:00:01"
    PICTURE.save(tmp_path / "a.jpg", exif=exif)
    PICTURE.save(tmp_path / "b.jpg")
    found = scan_files([os.fsencode(tmp_path / name) for name in ("a.jpg", "b.jpg")])
    assert found["taken"].tolist() == [1709208001, 0]


def test_a_file_that_may_not_be_read_is_told(tmp_path, monkeypatch):
    def refuse(*_args):
        raise PermissionError(errno.EACCES, "denied")

    (tmp_path / "a.jpg").write_bytes(WHOLE["JPEG"])
    monkeypatch.setattr(file_scan, "open", refuse, raising=False)
    assert scan_files([os.fsencode(tmp_path / "a.jpg")])["faults"].tolist() == [Fault.DENIED]
