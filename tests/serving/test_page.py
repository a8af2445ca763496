"""The page of a run; a browser looks at it in tools/demo_screens.py."""

from types import SimpleNamespace

import pytest

pytest.importorskip("gradio")

from tests.serving.test_answers import LABELS
from visionkit.serving.page import create_page
from visionkit.serving.uploads import UploadError


def refuse(path):
    raise UploadError("the image is <too> large.", status=413)


def page_of(task, predict=refuse):
    return create_page(SimpleNamespace(task=task, run="a/b", class_names=("cat", "dog"), predict=predict))


def props(page, name):
    (found,) = [part["props"] for part in page.get_config_file()["components"] if part["props"].get("elem_id") == name]
    return found


@pytest.mark.parametrize(
    ("task", "score", "is_drawn"),
    [
        ("detect", 0.3, True),
        ("instance", 0.3, True),
        ("multilabel", 0.5, False),
        ("classify", None, False),
        ("segment", None, True),
    ],
)
def test_a_task_has_a_slider_where_it_has_scores_to_choose_and_a_picture_where_it_draws(task, score, is_drawn):
    page = page_of(task)
    slider = props(page, "vk-score")
    assert (slider["value"] if slider["visible"] else None) == score
    assert props(page, "vk-picture")["visible"] is is_drawn


def test_nothing_of_the_page_can_be_called_by_programs_and_nothing_is_counted():
    config = page_of("detect").get_config_file()
    assert {part["api_visibility"] for part in config["dependencies"]} == {"private"}
    assert config["analytics_enabled"] is False


def test_a_picture_that_is_refused_is_taken_away_and_the_reason_shown():
    predict = page_of("detect").fns[0].fn
    found, picture, drawn, status, table = predict("photo.png", 0.3)
    assert (found, picture, drawn, table) == (None, None, None, "")
    assert "The image is &lt;too&gt; large." in status


def test_a_fault_is_shown_without_what_failed(caplog):
    def fail(path):
        raise RuntimeError("secret")

    *_, status, _ = page_of("detect", fail).fns[0].fn("photo.png", 0.3)
    assert ("secret" in status, "its terminal says how" in status) == (False, True)
    assert "secret" in caplog.text


def test_the_slider_chooses_the_classes_of_an_image():
    redraw = page_of("multilabel").fns[2].fn
    _, status, table = redraw(LABELS, 0.3)
    assert "dog, owl" in status
    assert ["unlikely" in row for row in table.split("<tr")[2:]] == [False, False, True]
