"""Legends and titles broken into lines."""

from visionkit.report.legend import legend_lines, wrap
from visionkit.report.style import class_legend, count_title


def test_a_legend_of_many_classes_takes_several_lines_within_the_width():
    legend = [(f"class {number}", "#0072b2") for number in range(120)]
    lines = legend_lines(legend, 1300, size=13, max_lines=12)
    assert [entry[1] for line in lines for entry in line] == [name for name, _ in legend]
    assert len(lines) > 5
    assert all(line[0][0] == 0 for line in lines)


def test_what_does_not_fit_into_a_legend_is_counted():
    legend = [(f"class {number}", "#0072b2") for number in range(120)]
    lines = legend_lines(legend, 400, size=13, max_lines=3)
    entries = [entry for line in lines for entry in line]
    assert len(lines) == 3
    assert entries[-1][1:] == (f"+ {120 - len(entries) + 1} more classes", "")


def test_a_legend_names_each_class_once_by_its_id():
    assert class_legend([1, 0, 1], ("cat", "dog")) == [("cat", "#0072b2"), ("dog", "#e69f00")]


def test_a_title_is_broken_between_words():
    assert wrap("one two three", 1000, size=16) == ["one two three"]
    assert wrap("one two three", 10, size=16) == ["one", "two", "three"]


def test_counts_are_in_the_right_number():
    assert [count_title(1, 1, "boxes"), count_title(1, 1, "images"), count_title(2, 3, "masks")] == [
        "1 box", "1 image", "2 of 3 masks",
    ]  # fmt: skip
