"""Files that strangers send: the same predictions as `predict`, within limits, in words that name no path."""

import threading

import pytest
from PIL import Image

from tests.serving.conftest import LIMITS, write_png
from visionkit.errors import UserError
from visionkit.serving.uploads import UploadError, UploadLimits


@pytest.mark.parametrize("task", ["classify", "detect", "segment", "instance"])
def test_the_prediction_is_that_of_predict_without_the_path(services, photo, task):
    service = services(task)
    expected = {**service.predictor.predict(photo).to_dict(), "file": None}
    prediction = service.predict(photo).prediction
    assert prediction.to_dict() == expected
    assert prediction.draw().mode == "RGB"


def test_what_was_done_with_an_image_is_said_each_time_and_of_no_other_image(services, photo):
    service = services("classify")
    grey, inks = photo.with_name("grey.png"), photo.with_name("inks.jpg")
    Image.open(photo).convert("L").save(grey)
    Image.open(photo).convert("CMYK").save(inks)
    notes = [service.predict(path).notes for path in (photo, photo, grey, inks)]
    colour, of_inks = (
        f"image {kind} converted to the one grey channel of this run" for kind in ("in colour", "of CMYK inks")
    )
    assert notes == [(colour,), (colour,), (), (of_inks,)]


def refused(service, path):
    with pytest.raises(UploadError) as caught:
        service.predict(path)
    assert str(path.parent) not in str(caught.value)
    return caught.value.status, str(caught.value)


def test_an_image_of_too_many_pixels_is_refused_before_it_is_decoded(services, huge, monkeypatch):
    monkeypatch.setattr(Image.Image, "load", lambda *a: pytest.fail("it was decoded"))
    assert refused(services("classify"), huge) == (
        413,
        "the image has 20,000 x 20,000 pixels, more than the limit of 1,000,000. Send a smaller one.",
    )


def test_a_file_of_too_many_bytes_is_refused_before_it_is_opened(services, tmp_path):
    path = tmp_path / "large.png"
    path.write_bytes(bytes(LIMITS.max_bytes + 1))
    status, message = refused(services("classify"), path)
    assert (status, message) == (413, "the image has more bytes than the limit of 100,000 bytes. Send a smaller one.")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "it is empty, a file of 0 bytes"),
        (b"no picture", "cannot identify image file"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "cannot identify image file"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "cannot identify image file"),
    ],
)
def test_what_is_no_image_is_refused_in_words(services, tmp_path, content, words):
    path = tmp_path / "upload"
    path.write_bytes(content)
    status, message = refused(services("classify"), path)
    assert (status, words in message) == (422, True), message
    assert message.startswith("the image cannot be read: ")


def test_an_image_that_was_cut_short_is_refused_in_words(services, photo):
    photo.write_bytes(photo.read_bytes()[:-60])
    assert refused(services("detect"), photo)[0] == 422


def test_a_header_that_promises_little_bounds_what_is_decoded(services, tmp_path):
    path = write_png(tmp_path / "bomb.png", 4, 4, bytes(10_000_000))
    assert services("classify").predict(path).prediction.size == (4, 4)


def test_one_image_at_a_time_is_predicted(services, photo, monkeypatch):
    service, running, most = services("classify"), [], []
    original = type(service.predictor).predict

    def predict(self, images):
        running.append(1)
        most.append(len(running))
        try:
            return original(self, images)
        finally:
            running.pop()

    monkeypatch.setattr(type(service.predictor), "predict", predict)
    threads = [threading.Thread(target=service.predict, args=(photo,)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_bytes": 0}, "max_bytes: expected a whole number of bytes above 0, found 0. Try: max_bytes=33554432"),
        ({"max_pixels": "many"}, 'max_pixels: expected a whole number of pixels above 0, found "many"'),
        ({"max_pixels": 1.5}, "found 1.5"),
    ],
)
def test_a_limit_that_is_no_number_is_refused(options, message):
    with pytest.raises(UserError) as caught:
        UploadLimits.read(options)
    assert message in str(caught.value)
