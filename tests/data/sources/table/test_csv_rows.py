"""What a stray quote or a control character does to the rows around it, and how programs begin a table."""

import pytest

from visionkit.errors import UserError

HEADER = "image,split,label\n"


def rows(**changed):
    """Twelve rows, of which the last four are of val; a label by its letter is written as given."""
    return HEADER + "".join(
        f"images/{letter}.png,{'train' if index < 8 else 'val'},{changed.get(letter, 'xy'[index % 2])}\n"
        for index, letter in enumerate("abcdefghijkl")
    )


def split_names(source):
    samples = source.splits(seed=0).samples
    return {split: "".join(s.name(i)[-5] for i in range(len(s))) for split, s in samples.items()}


@pytest.mark.parametrize(
    ("text", "expected", "lines"),
    [
        (rows(c='"x'), {"train": "abdefgh", "val": "ijkl"}, [4]),
        (rows(c='"x', g='"x'), {"train": "abdefh", "val": "ijkl"}, [4, 8]),
        (rows(l='"y'), {"train": "abcdefgh", "val": "ijk"}, [13]),
        (rows().replace("images/c", '"images/c'), {"train": "abdefgh", "val": "ijkl"}, [4]),
        (rows(c="x\0"), {"train": "abdefgh", "val": "ijkl"}, [4]),
        (rows(c="x\x1b[2J"), {"train": "abdefgh", "val": "ijkl"}, [4]),
        (rows(c='"x\n\x0b\ny"'), {"train": "abdefgh", "val": "ijkl"}, [4, 5, 6]),
        (rows(c='"' + "x" * 70_000 + "\n" + "x" * 70_000), {"train": "abdefgh", "val": "ijkl"}, [4, 5]),
    ],
    ids=["open quote", "two open quotes", "in the last row", "in a path", "null", "escape", "line breaks", "long"],
)
def test_a_fault_costs_its_own_line_alone_and_is_counted(make_table, text, expected, lines):
    source = make_table(text)
    assert source.info().class_names == ("x", "y")
    assert split_names(source) == expected
    (finding,) = (found for found in source.splits(seed=0).findings if found.code == "line-malformed")
    assert finding.places == tuple(f"line {line} of 'labels.csv'" for line in lines)


def test_inch_marks_within_a_cell_are_part_of_it(make_table):
    assert make_table(rows(**dict.fromkeys("abcdefghijkl", '7"') | {"a": '9"'})).info().class_names == ('7"', '9"')


def test_a_text_over_several_lines_in_another_column_is_said(make_table):
    text = rows(c='x,"a text\nof two lines"').replace("label\n", "label,note\n", 1)
    source = make_table(text)
    assert split_names(source) == {"train": "abcdefgh", "val": "ijkl"}
    assert source.splits(seed=0).notes == [
        "1 line(s) inside of quotes read as text of the row before: line 5 of 'labels.csv'"
    ]


@pytest.mark.parametrize(
    "text",
    [
        "sep=;\n" + rows().replace(",", ";"),
        "# made by a tool\n# in two lines\n" + rows(),
        rows().replace(",", "|"),
        rows().replace("\n", "\r"),
    ],
    ids=["sep", "comments", "bars", "carriage returns"],
)
def test_a_table_may_begin_and_be_divided_in_other_ways(make_table, text):
    assert split_names(make_table(text)) == {"train": "abcdefgh", "val": "ijkl"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (rows().encode("utf-16-le"), "null characters in its first line, as text in UTF-16.*Save it as CSV in UTF-8"),
        (rows().removeprefix(HEADER), "the first line of .* names an image.*such as image,label. Add such a line"),
        (rows().replace(",", " "), r"its first line is 'image split label' alone. Expected names of columns, divided"),
    ],
)
def test_what_cannot_be_read_is_said(make_table, text, message):
    with pytest.raises(UserError, match=message):
        make_table(text).check()
