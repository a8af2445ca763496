"""Tables of text lose nothing, whatever the width of what they are printed on."""

import io

import pytest

from visionkit.console import PipeSafeConsole
from visionkit.report.tables import Grid, print_grid

WIDE = Grid(
    "what was measured",
    ["run", "backbone.stages.layer1.blocks.kernel_size", "val/accuracy", "test/accuracy", "猫の数"],
    [["0 1 2", "[3, 5]", "0.9926 ± 0.0092", "0.9889 ± 0.0159", "十二匹の猫"], ["3 4 5", "7", "0.9741", "", "一"]],
    [False, False, True, True, False],
    notes=["a note"],
    elsewhere="the file a.csv",
)


def printed(grid, width):
    out = io.StringIO()
    print_grid(grid, "text", console=PipeSafeConsole(file=out, width=width))
    return out.getvalue()


@pytest.mark.parametrize("width", [80, 100, 120, 160])
def test_every_heading_and_cell_is_there_whole(width):
    words = printed(WIDE, width).split()
    for cell in [*WIDE.headings, *(cell for row in WIDE.rows for cell in row)]:
        assert set(cell.split()) <= set(words), cell
    assert not any("…" in word for word in words)


def test_what_does_not_fit_is_a_second_table_with_the_first_column_and_is_said():
    text = printed(WIDE, 80)
    assert text.count("0 1 2") == 2
    assert text.splitlines()[-1].endswith("wide, or the file a.csv.")
    assert printed(WIDE, 160).count("0 1 2") == 1


def test_a_cell_wider_than_the_terminal_is_folded_and_not_cut():
    long = "x" * 70 + "end"
    text = printed(Grid("", ["run", "value"], [["0", long]], [False, False]), 40)
    assert "…" not in text
    assert text.count("x") == 70
    assert max(map(len, text.splitlines())) <= 40


def test_signs_of_two_columns_keep_the_columns_in_line():
    from rich.cells import cell_len

    lines = [line for line in printed(WIDE, 160).splitlines() if "±" in line or "0.9741" in line]
    assert len({cell_len(line.rstrip("\n")) for line in lines}) == 1
