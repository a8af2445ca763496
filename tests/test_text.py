r"""Text of strangers where it is shown; what is printed for a name such as ``a\x1b[2J`` must only be seen."""

import io
import json
import math
import os
import sys

import pytest
from rich.table import Table
from rich.text import Text

from visionkit.cli.main import main, print_error
from visionkit.console import PipeSafeConsole, Printer, metrics_table, print_json
from visionkit.text import (
    count_of,
    json_text,
    normal_form,
    printable,
    quote_cell,
    replace_non_finite,
    safe_file_name,
    unquote_cell,
)

EVIL = "a\x1b[2J\r\n\t\x07\x9b1m\x7f\u202e\u200b\u2028\ufeff\udcffb"
SHOWN = r"a\x1b[2J\r\n\t\x07\x9b1m\x7f\u202e\u200b\u2028\ufeff\udcffb"


def test_what_steers_a_terminal_is_escaped_and_what_is_read_stays():
    assert printable(EVIL) == SHOWN
    for text in ("Größe", "猫　犬", "a\u00a0b", "e\u0301", "🐈", "a b-c_d.jpg", "\\x1b"):
        assert printable(text) == text
    assert printable("a\nb\r", keep="\n") == "a\nb\\r"


@pytest.mark.parametrize("is_terminal", [False, True])
def test_lines_tables_and_titles_reach_screen_and_log_escaped(tmp_path, is_terminal):
    screen = io.StringIO()
    printer = Printer(console=PipeSafeConsole(file=screen, force_terminal=is_terminal, color_system=None, width=120))
    printer.log_to(tmp_path / "log.txt")
    table = Table(title=Text(EVIL))
    table.add_column(EVIL)
    table.add_row(Text(EVIL))
    printer.print(EVIL, metrics_table({EVIL: 1.0}, title=EVIL), table)
    for text in (screen.getvalue(), (tmp_path / "log.txt").read_text(encoding="utf-8")):
        assert text.startswith(f"{SHOWN}\n")
        assert r"a\x1b[2J\r\n\t\x07" in text.partition("\n")[2]
        assert not set(EVIL) & set(text) - set("a[2Jb1m\n")


def test_brackets_in_names_are_text_in_tables_too():
    screen = io.StringIO()
    console = PipeSafeConsole(file=screen, width=80)
    table = Table("[bold]class[/]")
    table.add_row("[timm] :cat: [/]")
    console.print(table, "[red]x")
    assert "[bold]class[/]" in screen.getvalue()
    assert "[timm] :cat: [/]" in screen.getvalue()
    assert "[red]x" in screen.getvalue()


def test_an_error_is_one_line_without_control_characters(capsys):
    print_error(f"visionkit: the class '{EVIL}'\nis unknown")
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "the class 'a\\x1b[2J" in error
    assert error.endswith("is unknown\n")
    assert not set(error) & set("\x1b\r\t\x07\x9b\x7f\u202e\u200b\u2028\ufeff\udcff")


def test_what_is_typed_is_escaped_in_the_errors_of_the_command_line(capsys):
    assert main(["backbone=le\x1b[2Jnet"]) == 2
    assert r"le\x1b[2Jnet" in capsys.readouterr().err


def test_json_stays_json_and_is_printable(capsys):
    document = {"name": EVIL, "score": float("nan"), "ok": "猫"}
    print_json(document)
    text = capsys.readouterr().out
    assert json.loads(text) == {**document, "score": None}
    assert printable(text, keep="\n") == text
    assert "猫" in text
    assert json_text(["\U000e0041"]) == r'["\udb40\udc41"]'


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("+x", "'+x"),
        ("-x", "'-x"),
        ("@SUM(1)", "'@SUM(1)"),
        ("\t=1", r"'\t=1"),
        ("\r=1", r"'\r=1"),
        ("-0.5", "-0.5"),
        ("+1e-3", "+1e-3"),
        ("-inf", "-inf"),
        (-0.5, -0.5),
        (None, None),
        ("cat", "cat"),
        ("a\x1b", r"a\x1b"),
        ("a\nb", "a\nb"),
        ("\udcff", r"\udcff"),
    ],
)
def test_cells_that_a_spreadsheet_would_run_are_quoted_and_numbers_are_not(value, cell):
    assert quote_cell(value) == cell
    if isinstance(value, str) and value.isprintable():
        assert unquote_cell(cell) == value


def test_names_of_written_files_are_printable_and_short_enough_for_a_file_system(tmp_path):
    assert safe_file_name("a b.jpg") == "a b.jpg"
    assert safe_file_name("a\x1b\n.jpg") == r"a\x1b\n.jpg"
    one, other = safe_file_name("é" * 126 + "x.jpeg"), safe_file_name("é" * 126 + "y.jpeg")
    assert one != other
    assert one.endswith(".jpeg")
    assert len(os.fsencode(one)) <= 236
    (tmp_path / f"{one}.png").touch()
    assert "\udcff" not in safe_file_name("\udcff.png")


def test_nothing_is_printed_past_the_console(monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    Printer().print(EVIL)
    assert sys.stdout.getvalue() == f"{SHOWN}\n"


def test_the_normal_form_is_one_for_both_ways_of_writing_an_accent():
    assert normal_form("cafe\u0301") == normal_form("caf\u00e9") == "caf\u00e9"
    assert normal_form("plain \udcff") == "plain \udcff"


@pytest.mark.parametrize(
    ("count", "word", "text"),
    [(1, "image", "1 image"), (0, "image", "0 images"), (1200, "image", "1,200 images"), (2, "class", "2 classes"),
     (3, "batch", "3 batches"), (2, "box", "2 boxes"), (2, "category", "2 categories"), (1, "class", "1 class")],
)  # fmt: skip
def test_a_noun_stands_in_the_plural_unless_there_is_one(count, word, text):
    assert count_of(count, word) == text


def test_numbers_that_are_not_finite_become_none_at_any_depth():
    values = {"a": math.nan, "b": [1.5, (math.inf, {"c": -math.inf})], "d": 2, "e": "nan", "f": True}
    assert replace_non_finite(values) == {"a": None, "b": [1.5, [None, {"c": None}]], "d": 2, "e": "nan", "f": True}
