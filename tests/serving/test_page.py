"""The page of a run; a browser looks at it in tools/demo_screens.py."""

from types import SimpleNamespace

import pytest

pytest.importorskip("gradio")

from fastapi.testclient import TestClient

from tests.serving.test_answers import LABELS
from visionkit.registry import load
from visionkit.serving.page import create_page
from visionkit.serving.uploads import UploadError, UploadResult
from visionkit.tasks.info import TASKS


def refuse(path):
    raise UploadError("the image is <too> large.", status=413)


def page_of(task, predict=refuse):
    kind = load(TASKS[task].inference).prediction_class
    names = ("cat", "dog")
    return create_page(SimpleNamespace(task=task, run="a/b", class_names=names, prediction_class=kind, predict=predict))


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


@pytest.fixture
def uploaded(tmp_path, monkeypatch):
    """A file that a browser has sent."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    (tmp_path / "uploads" / "a").mkdir(parents=True)
    (tmp_path / "uploads" / "a" / "photo.png").write_bytes(b"")
    return str(tmp_path / "uploads" / "a" / "photo.png")


def test_a_file_of_this_machine_is_not_read(tmp_path, uploaded):
    """Whatever a request calls it, also by way of the folder of uploads or by a link in it."""
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"")
    link = tmp_path / "uploads" / "link.png"
    link.symlink_to(secret)
    predict = page_of("detect", predict=lambda path: pytest.fail(f"{path} was read")).fns[0].fn
    for path in (secret, link, f"{uploaded}/../../../secret.png", "secret.png", "/etc/passwd", "a\0b", "", "."):
        _, picture, drawn, status, _ = predict(str(path), 0.3)
        assert (picture, drawn) == (None, None)
        assert "A path is not read" in status


def test_a_picture_that_is_refused_is_taken_away_and_the_reason_shown(uploaded):
    predict = page_of("detect").fns[0].fn
    found, picture, drawn, status, table = predict(uploaded, 0.3)
    assert (found, picture, drawn, table) == (None, None, None, "")
    assert "The image is &lt;too&gt; large." in status


def test_a_fault_is_shown_without_what_failed(caplog, uploaded):
    def fail(path):
        raise RuntimeError("secret")

    *_, status, _ = page_of("detect", fail).fns[0].fn(uploaded, 0.3)
    assert ("secret" in status, "its terminal says how" in status) == (False, True)
    assert "secret" in caplog.text


def test_the_slider_chooses_the_classes_of_an_image():
    redraw = page_of("multilabel").fns[2].fn
    _, status, table = redraw(UploadResult(LABELS), 0.3)
    assert "dog, owl" in status
    assert ["unlikely" in row for row in table.split("<tr")[2:]] == [False, False, True]


def test_what_is_to_be_said_of_a_picture_stands_below_what_was_found_and_stays_as_the_slider_moves(uploaded):
    result = UploadResult(LABELS, ("image in colour <converted> to grey",))
    page = page_of("multilabel", lambda path: result)
    *_, status, _ = page.fns[0].fn(uploaded, 0.5)
    _, moved, _ = page.fns[2].fn(result, 0.3)
    for words in (status, moved):
        assert "<p class='note'>Image in colour &lt;converted&gt; to grey.</p>" in words


@pytest.fixture(scope="module")
def browser():
    """A client of the page as gradio serves it."""
    from gradio.routes import App

    from visionkit.serving.run_page import create_page_app

    return TestClient(App.create_app(page_of("classify"), app=create_page_app(())), base_url="http://127.0.0.1:7860")


def test_a_page_of_elsewhere_whose_name_leads_here_gets_nothing(browser):
    for path in ("/", "/config", "/gradio_api/info", "/gradio_api/upload"):
        answer = browser.get(path, headers={"Host": "evil.example:7860"})
        assert (answer.status_code, "the host 'evil.example:7860' is not one of this server" in answer.text) == (
            421,
            True,
        )
    assert browser.get("/config").status_code == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "http://localhost:3000", "null"])
def test_no_page_of_another_origin_may_read_the_answers(browser, origin):
    answers = [
        browser.get("/config", headers={"Origin": origin}),
        browser.options("/config", headers={"Origin": origin, "Access-Control-Request-Method": "POST"}),
    ]
    for answer in answers:
        assert [name for name in answer.headers if name.startswith("access-control")] == []
        assert "default-src 'self'" in answer.headers["content-security-policy"]
