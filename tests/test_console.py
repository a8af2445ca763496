"""What is printed is also kept."""

import io
import sys

import pytest
from rich.console import Console
from rich.table import Table

from visionkit.console import UNLIMITED, PipeSafeConsole, Printer, loading, metrics_table
from visionkit.metric_names import metric_title


def test_lines_go_to_the_screen_and_plain_into_the_file(tmp_path):
    screen = io.StringIO()
    printer = Printer(console=Console(file=screen, force_terminal=True, color_system="truecolor"))
    printer.print("before there is a file")
    printer.log_to(tmp_path / "run" / "log.txt")
    printer.print("after")
    printer.log("kept only")
    assert (tmp_path / "run" / "log.txt").read_text() == "before there is a file\nafter\nkept only\n"
    assert "before there is a file" in screen.getvalue()
    assert "kept only" not in screen.getvalue()


def test_a_table_is_kept_too(tmp_path):
    printer = Printer(console=Console(file=io.StringIO()))
    printer.log_to(tmp_path / "log.txt")
    table = Table()
    table.add_column("metric")
    table.add_row("val/accuracy")
    printer.print(table)
    assert "val/accuracy" in (tmp_path / "log.txt").read_text()


def test_errors_output_leaves_standard_output_alone(capsys):
    Printer(to_stderr=True).print("hello")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "hello\n")


def test_brackets_and_colons_in_a_path_stay_as_they_are(tmp_path):
    screen = io.StringIO()
    printer = Printer(console=Console(file=screen, force_terminal=True, color_system=None, highlight=False, width=100))
    printer.log_to(tmp_path / "log.txt")
    printer.print(
        "folder x[exp]/[/b]/:cat:/out",
        metrics_table({"test/a": 1.0, "test/calibration_error": 0.5}, title="test split of x[exp]"),
    )
    for text in (screen.getvalue(), (tmp_path / "log.txt").read_text()):
        assert "folder x[exp]/[/b]/:cat:/out\n" in text
        assert "test split of x[exp]" in text


class _Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("stream", [_Terminal, io.StringIO])
def test_a_terminal_alone_is_told_that_pytorch_is_loaded(monkeypatch, capsys, stream):
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setattr(sys, "stderr", stream())
    with loading():
        assert sys.stderr.getvalue() == ("loading PyTorch ..." if stream is _Terminal else "")
    assert sys.stderr.getvalue().endswith("\r\x1b[K" if stream is _Terminal else "")
    assert capsys.readouterr().out == ""


def test_nothing_is_said_where_pytorch_is_there_already(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", sys)
    monkeypatch.setattr(sys, "stderr", _Terminal())
    with loading():
        pass
    assert sys.stderr.getvalue() == ""


@pytest.mark.parametrize(
    ("columns", "width"), [("80", 80), ("160", 160), ("0", UNLIMITED), ("x", UNLIMITED), (None, UNLIMITED)]
)
def test_a_pipe_is_as_wide_as_columns_says_and_else_without_end(monkeypatch, columns, width):
    if columns is None:
        monkeypatch.delenv("COLUMNS", raising=False)
    else:
        monkeypatch.setenv("COLUMNS", columns)
    assert PipeSafeConsole(file=io.StringIO()).width == width


@pytest.mark.parametrize("width", [40, 80, 100, 120, 160])
def test_metrics_and_the_path_above_them_are_printed_whole(width):
    out = io.StringIO()
    title = f"test split of {'/a_folder' * 20}"
    names = {f"test/{'a_metric_of_mine_' * 3}": 0.5, "test/loss": 12_345_678}
    Printer(console=PipeSafeConsole(file=out, width=width)).print(metrics_table(names, title=title))
    text = out.getvalue()
    assert title in text
    assert "…" not in text
    joined = "".join(line.split("│")[1].strip() for line in text.splitlines() if line.startswith("│"))
    shown = "".join(map(metric_title, names))
    assert joined.replace(" ", "") == shown.replace(" ", "")


def test_an_interval_stands_beside_its_metric():
    text = io.StringIO()
    metrics = {"test/loss": 0.5, "test/accuracy": 0.9, "test/accuracy_low": 0.8512, "test/accuracy_high": 0.9345}
    printer = Printer(console=PipeSafeConsole(file=text, width=80))
    printer.print(metrics_table(metrics, title="test split"))
    lines = text.getvalue().splitlines()
    assert any("test/accuracy" in line and "0.9000" in line and "0.8512 to 0.9345" in line for line in lines)
    assert "95 % interval" in text.getvalue()
    assert "accuracy_low" not in text.getvalue()
