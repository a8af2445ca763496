"""The labels of a cell, in each way of writing them."""

import pytest

from visionkit.data.sources.table.labels import LabelReader, natural_order


@pytest.mark.parametrize(
    ("cell", "labels"),
    [
        ("cat", ("cat",)),
        ("cat;dog", ("cat", "dog")),
        (" cat | dog ;", ("cat", "dog")),
        ("cat;cat", ("cat",)),
        ('["cat", "a, b"]', ("cat", "a, b")),
        ("['cat', 'a, b']", ("cat", "a, b")),
        ("[cat, dog]", ("cat", "dog")),
        ("[01, 1.50]", ("01", "1.50")),
        ("[1, 2]", ("1", "2")),
        ("[]", ()),
        ("{'cat', 'a, b'}", ("cat", "a, b")),
        ("{}", ()),
        ("{cat]", ("{cat]",)),
        ("cat;NaN", ("cat",)),
        ("", ()),
        ("black cat", ("black cat",)),
        ("[1]\n[2]", ("[1]\n[2]",)),
        ('[["cat"]]', ('[["cat"]]',)),
        ("[" * 5000 + "]" * 5000, ("[" * 4999 + "]" * 4999,)),
        (["cat", "dog", ""], ("cat", "dog")),
    ],
)
def test_a_cell_has_these_labels(cell, labels):
    assert LabelReader(None).read([cell]) == [labels]


@pytest.mark.parametrize(
    ("column", "expected"), [(["cat", "dog"], False), (["cat", ""], True), (["cat", "[dog]"], True), ([["cat"]], True)]
)
def test_it_is_known_whether_a_cell_was_a_list(column, expected):
    reader = LabelReader(None)
    reader.read(column)
    assert reader.found_list is expected


def test_a_separator_that_is_given_is_the_only_one():
    assert LabelReader(",").read(["a;b", "a,b"]) == [("a;b",), ("a", "b")]


def test_names_are_sorted_by_the_numbers_in_them():
    assert natural_order(["b10", "b2", "a", "10", "9", "b2", "1" * 5000, "01", "\u00b2"]) == [
        "01", "9", "10", "1" * 5000, "a", "b2", "b10", "\u00b2",
    ]  # fmt: skip
