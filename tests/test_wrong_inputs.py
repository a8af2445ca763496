"""The page of wrong inputs says what each is answered."""

import shutil

import pytest

from tools.write_wrong_inputs import INPUTS, PAGE, _cell, answer, make_folder

ROWS = [typed for inputs in INPUTS.values() for typed in inputs]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder in which the inputs are typed."""
    path = tmp_path_factory.mktemp("project")
    make_folder(path)
    yield path
    shutil.rmtree(path)


def test_the_page_has_forty_inputs_at_least_each_once():
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    typed = [line.split("` | `")[0].removeprefix("| `") for line in lines if line.startswith("| `")]
    assert typed == [_cell(row).strip("`") for row in ROWS]
    assert len(set(ROWS)) == len(ROWS) >= 40


def test_every_input_gets_the_answer_of_the_page_word_for_word(cli, folder, monkeypatch):
    monkeypatch.chdir(folder)
    before = sorted(folder.rglob("*"))
    known = PAGE.read_text(encoding="utf-8").splitlines()
    rows = [f"| {_cell(typed)} | {_cell(answer(typed, cli))} |" for typed in ROWS]
    assert [row for row in rows if row not in known] == []
    assert [path for path in sorted(folder.rglob("*")) if "__pycache__" not in path.parts] == before
