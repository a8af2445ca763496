"""What the page says in HTML."""

import re

from tests.serving.test_answers import CLASS, COMMON, LABELS, MASK, OBJECTS
from visionkit.inference.predictions import Detections
from visionkit.report.palette import class_colour
from visionkit.serving.page_html import error_html, header_html, summary_html, table_html


def names(table):
    return re.findall(r"</span>([^<]*)</td>", table)


def test_names_of_strangers_are_text():
    evil = "<img src=x onerror=alert(1)>"
    prediction = type(CLASS)(CLASS.outputs, **{**COMMON, "class_names": (evil, evil + "2", evil + "3")})
    for html in (
        header_html("classify", evil, [evil]),
        error_html(evil),
        summary_html(prediction),
        table_html(prediction),
    ):
        assert "<img" not in html
        assert "&lt;img src=x" in html


def test_classes_come_with_the_likeliest_first_in_their_colours():
    table = table_html(CLASS)
    assert names(table) == ["dog", "owl", "cat"]
    assert re.findall(r"number'>([\d.]+%)", table) == ["50.0%", "37.5%", "12.5%"]
    assert re.search(r"background:(#\w+)", table)[1] == class_colour(1)
    assert summary_html(CLASS).startswith("<span class='found'>dog</span>")
    assert "50.0%" in summary_html(CLASS)


def test_classes_that_an_image_does_not_have_are_pale():
    rows = table_html(LABELS).split("<tr")[2:]
    assert ["unlikely" in row for row in rows] == [False, True, True]


def test_objects_come_with_scores_and_boxes():
    table = table_html(OBJECTS)
    assert names(table) == ["owl", "cat", "dog"]
    assert "<td class='box'>0, 1, 2, 3</td>" in table
    assert "3 objects" in summary_html(OBJECTS)


def test_an_image_without_objects_has_no_table():
    none = Detections({name: value[:0] for name, value in OBJECTS.outputs.items()}, **COMMON)
    assert table_html(none) == ""
    assert "no object reaches this score" in summary_html(none)


def test_of_many_objects_the_first_are_listed_and_the_others_counted():
    many = Detections({name: value.repeat_interleave(50, 0) for name, value in OBJECTS.outputs.items()}, **COMMON)
    table = table_html(many)
    assert (len(names(table)), "and 50 more" in table) == (100, True)


def test_pixels_are_shares():
    assert names(table_html(MASK)) == ["cat"]
    assert "100.0%" in table_html(MASK)
