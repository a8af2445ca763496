"""The file of what a run said."""

import json

import pytest

from visionkit.runs.notes import add_notes, read_notes


def test_each_note_is_kept_once_in_the_order_of_being_said(tmp_path):
    file = tmp_path / "notes.json"
    add_notes(file, ["b", "a", "b"])
    add_notes(file, ["a", "c"])
    assert json.loads(file.read_text()) == ["b", "a", "c"]
    assert read_notes(file) == ["b", "a", "c"]


def test_a_run_with_nothing_to_say_has_no_file(tmp_path):
    add_notes(tmp_path / "notes.json", [])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "{}", "3", "[", "[" * 9999])
def test_a_damaged_file_holds_no_notes(tmp_path, text):
    (tmp_path / "notes.json").write_text(text)
    assert read_notes(tmp_path / "notes.json") == []
