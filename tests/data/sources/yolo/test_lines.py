"""The lines of label files, whoever wrote them."""

import os

import pytest

from visionkit.data.sources.yolo.lines import LabelLines
from visionkit.errors import UserError

BOXES = [(0.5, 0.25, 0.25, 0.125), (0.5, 0.5, 0.25, 0.5)]


@pytest.fixture
def read(tmp_path):
    def read_bytes(content):
        (tmp_path / "a.txt").write_bytes(content if isinstance(content, bytes) else content.encode())
        lines = LabelLines()
        lines.read(str(tmp_path / "a.txt"), 3, 2)
        return lines

    return read_bytes


@pytest.mark.parametrize(
    ("content", "commas"),
    [
        ("0 0.5 0.25 0.25 0.125\n1 0.5 0.5 0.25 0.5\n", 0),
        ("0 0.5 0.25 0.25 0.125\r\n1 0.5 0.5 0.25 0.5\r\n", 0),
        ("0 0.5 0.25 0.25 0.125\r1 0.5 0.5 0.25 0.5", 0),
        ("\ufeff0 0.5 0.25 0.25 0.125\n1 0.5 0.5 0.25 0.5", 0),
        ("0 0.5 0.25 0.25 0.125\n1 0.5 0.5 0.25 0.5".encode("utf-16"), 0),
        ("0\t0.5\t0.25\t0.25\t0.125\n\n  1  0.5 0.5 0.25 0.5 \n", 0),
        ("0.0 5e-1 .25 0.25 0.125\n1 0.5 0.5 0.25 0.5\n", 0),
        ("0,0.5,0.25,0.25,0.125\n1 0.5 0.5 0.25 0.5\n", 1),
        ("0, 0.5, 0.25, 0.25, 0.125\n1;0.5;0.5;0.25;0.5\n", 2),
        ("0 0,5 0,25 0,25 0,125\n1 0,5 0,5 0,25 0,5\n", 2),
    ],
)
def test_lines_are_read_in_every_spelling(read, content, commas):
    lines = read(content)
    assert (lines.labels, lines.values, lines.image) == ([0, 1], BOXES, [3, 3])
    assert (len(lines.with_commas), lines.malformed, lines.repeated) == (commas, [], [])
    assert lines.place(1).endswith(("a.txt line 2", "a.txt line 3"))


def test_a_repeated_line_counts_once(read):
    lines = read("0 0.5 0.5 0.25 0.5\n1 0.5 0.5 0.25 0.5\n0 0.50 0.5 0.25 0.5\n")
    assert lines.labels == [0, 1]
    assert [place.rpartition("/")[2] for place in lines.repeated] == ["a.txt line 3"]


@pytest.mark.parametrize(
    "line", ["0 0.5 0.5 0.2", "cat 0.5 0.5 0.2 0.2", "0 a b c d", "nan 1 1 1 1", "inf 1 1 1 1", "0.5 1 1 1 1"]
)
def test_what_is_no_line_is_named(read, line):
    lines = read(f"1 0.5 0.5 0.25 0.5\n{line}\n")
    assert lines.labels == [1]
    assert [place.rpartition("/")[2] for place in lines.malformed] == ["a.txt line 2"]


@pytest.mark.parametrize(("word", "shown"), [("2", "2"), ("-1", "-1"), ("9" * 300, "9{50,57}\\.\\.\\.")])
def test_a_class_id_out_of_range_is_an_error_in_a_few_words(read, word, shown):
    with pytest.raises(UserError, match=rf"a.txt line 1: class id {shown} is out of range: there are 2 names"):
        read(f"{word} 0.5 0.5 0.25 0.5")


def test_a_file_that_is_too_large_is_refused_before_it_is_read(tmp_path):
    with (tmp_path / "a.txt").open("wb") as file:
        file.truncate(201 * 1024**2)
    with pytest.raises(UserError, match=r"a.txt' has 201 MiB, and such a file is read up to 200 MiB"):
        LabelLines().read(str(tmp_path / "a.txt"), 0, 2)


def test_a_pipe_is_named_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.txt")
    lines = LabelLines()
    lines.read(str(tmp_path / "a.txt"), 0, 2)
    assert lines.malformed == [f"{tmp_path}/a.txt (it is no regular file)"]
