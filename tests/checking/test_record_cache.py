"""What was seen of a file is kept until the file changes."""

import os

import numpy
import pytest

from visionkit.checking.record_cache import RecordCache
from visionkit.errors import UserError

DTYPE = numpy.dtype([("size", "<i8"), ("first", "u1")])


class Look:
    """Notes which files it has looked at."""

    def __init__(self):
        self.seen = []

    def __call__(self, paths):
        self.seen += [os.path.basename(path) for path in paths]
        records = numpy.zeros(len(paths), DTYPE)
        for row, path in enumerate(paths):
            with open(path, "rb") as file:
                data = file.read()
            records[row] = len(data), data[0]
        return records


@pytest.fixture
def files(tmp_path):
    root = tmp_path / "data"
    root.mkdir()
    for number in range(5):
        (root / f"{number}.jpg").write_bytes(bytes([number]) * (number + 1))
    return root


def _look(cache, names):
    look, done = Look(), []
    records = cache.look("headers", names, look, dtype=DTYPE, advance=done.append)
    assert sum(done) == len(names)
    return records, sorted(look.seen)


NAMES = [f"{number}.jpg".encode() for number in range(5)]


def test_files_that_have_not_changed_are_not_looked_at_again(tmp_path, files):
    first, seen = _look(RecordCache(str(tmp_path / "kept"), files), NAMES)
    assert seen == NAMES
    (files / "3.jpg").write_bytes(b"new")
    again, seen = _look(RecordCache(str(tmp_path / "kept"), files), NAMES[::-1])
    assert seen == [b"3.jpg"]
    assert again[::-1].tolist() == [(3, ord("n")) if row == 3 else record for row, record in enumerate(first.tolist())]


def test_without_a_folder_nothing_is_kept(tmp_path, files):
    for _ in range(2):
        _, seen = _look(RecordCache(None, files), NAMES)
        assert seen == NAMES
    assert os.listdir(tmp_path) == ["data"]


@pytest.mark.parametrize("content", [b"", b"PK\3\4 no archive", b"x" * 999])
def test_a_damaged_cache_is_none(tmp_path, files, content):
    cache = RecordCache(str(tmp_path / "kept"), files)
    _look(cache, NAMES)
    (file,) = (tmp_path / "kept").iterdir()
    file.write_bytes(content)
    assert _look(cache, NAMES)[1] == NAMES
    assert _look(cache, NAMES)[1] == []


def test_a_cache_within_the_data_is_refused(files):
    with pytest.raises(UserError, match="lies in the data set, to which check writes nothing"):
        RecordCache(str(files / "kept"), files)
