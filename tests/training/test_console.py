"""What is printed is also kept."""

import io

from rich.console import Console
from rich.table import Table

from visionkit.training.console import Printer


def test_lines_go_to_the_screen_and_plain_into_the_file(tmp_path):
    screen = io.StringIO()
    printer = Printer(console=Console(file=screen, force_terminal=True, color_system="truecolor"))
    printer.say("[bold]before[/bold] there is a file")
    printer.log_to(tmp_path / "run" / "log.txt")
    printer.say("after")
    printer.note("kept only")
    assert (tmp_path / "run" / "log.txt").read_text() == "before there is a file\nafter\nkept only\n"
    assert "\x1b[1mbefore" in screen.getvalue()
    assert "kept only" not in screen.getvalue()


def test_a_table_is_kept_too(tmp_path):
    printer = Printer(console=Console(file=io.StringIO()))
    printer.log_to(tmp_path / "log.txt")
    table = Table()
    table.add_column("metric")
    table.add_row("val/accuracy")
    printer.say(table)
    assert "val/accuracy" in (tmp_path / "log.txt").read_text()


def test_errors_output_leaves_standard_output_alone(capsys):
    Printer(to_stderr=True).say("hello")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "hello\n")
