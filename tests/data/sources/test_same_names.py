"""Names that are the same but for case and the form of Unicode."""

import unicodedata

import pytest

from visionkit.data.sources.same_names import by_folded_name, match_names


@pytest.mark.parametrize(
    ("names", "others", "found", "other_case"),
    [
        (["b", "a"], ["a", "b"], {"b": "b", "a": "a"}, []),
        (["A", "b"], ["a", "b"], {"A": "a", "b": "b"}, ["A"]),
        (["A", "a"], ["a"], {"a": "a"}, []),
        (["A", "a"], ["A", "a"], {"A": "A", "a": "a"}, []),
        (["AA", "Aa"], ["aa"], {}, []),
        (["aa"], ["AA", "Aa"], {}, []),
        (["caf\u00e9"], [unicodedata.normalize("NFD", "caf\u00e9")], {"caf\u00e9": "cafe\u0301"}, []),
    ],
)
def test_each_name_has_its_equal_else_the_only_one_in_another_case(names, others, found, other_case):
    assert match_names(names, others) == (found, other_case)


def test_folded_names_that_are_equal_stand_for_none():
    assert by_folded_name(["A", "b", "B", "C"]) == {"a": "A", "c": "C"}
