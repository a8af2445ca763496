"""Writes that are whole, and numbers for JSON."""

import math
import os

import pytest

from visionkit.files import replace_non_finite, write_atomic


def test_a_file_is_written_with_the_folders_above_it(tmp_path):
    write_atomic(tmp_path / "a" / "b" / "f", "é")
    assert (tmp_path / "a" / "b" / "f").read_bytes() == "é".encode()


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    write_atomic(tmp_path / "f", b"old")
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        write_atomic(tmp_path / "f", "new")
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("f", "old")]


def test_numbers_that_are_not_finite_become_none_at_any_depth():
    values = {"a": math.nan, "b": [1.5, (math.inf, {"c": -math.inf})], "d": 2, "e": "nan", "f": True}
    assert replace_non_finite(values) == {"a": None, "b": [1.5, [None, {"c": None}]], "d": 2, "e": "nan", "f": True}
