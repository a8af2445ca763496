"""Predictions cut down to what a request asks for."""

import pytest
import torch

from visionkit.inference.predictions import Classification, Detections, LabelSet, Segmentation
from visionkit.serving.answers import AnswerOptions
from visionkit.serving.uploads import UploadError

NAMES = ("cat", "dog", "owl")
COMMON = {
    "class_names": NAMES, "size": (4, 6), "path": None, "category_ids": (0, 1, 2), "min_score": None,
    "read_image": lambda: None,
}  # fmt: skip
OBJECTS = Detections(
    {
        "boxes": torch.arange(12.0).reshape(3, 4),
        "labels": torch.tensor([2, 0, 1]),
        "scores": torch.tensor([0.875, 0.5, 0.25]),
    },
    **COMMON,
)
LABELS = LabelSet({"labels": [1], "probabilities": [0.25, 0.75, 0.375]}, **COMMON)
CLASS = Classification({"label": 1, "score": 0.5, "probabilities": [0.125, 0.5, 0.375]}, **COMMON)
MASK = Segmentation({"mask": torch.zeros(4, 6, dtype=torch.uint8)}, **COMMON)


@pytest.mark.parametrize("prediction", [OBJECTS, LABELS, CLASS, MASK], ids=["objects", "labels", "class", "mask"])
def test_without_options_the_answer_is_to_dict_with_the_task(prediction):
    assert AnswerOptions.read({}).document(prediction, "any") == {"task": "any", **prediction.to_dict()}


def test_objects_of_a_lower_score_are_left_out():
    answer = AnswerOptions.read({"min_score": "0.5"}).document(OBJECTS, "detect")
    assert [(one["class"], one["score"]) for one in answer["objects"]] == [("owl", 0.875), ("cat", 0.5)]


def test_top_gives_the_objects_of_the_highest_scores():
    answer = AnswerOptions.read({"top": "1"}).document(OBJECTS, "detect")
    assert [one["box"] for one in answer["objects"]] == [[0.0, 1.0, 2.0, 3.0]]


def test_the_classes_of_an_image_are_those_of_the_score_that_is_asked_for():
    answer = AnswerOptions.read({"min_score": "0.3", "top": "2"}).document(LABELS, "multilabel")
    assert (answer["classes"], answer["scores"]) == (["dog", "owl"], [0.75, 0.375])
    assert answer["probabilities"] == {"dog": 0.75, "owl": 0.375}


def test_top_gives_the_most_probable_classes_in_their_order():
    answer = AnswerOptions.read({"top": "2"}).document(CLASS, "classify")
    assert list(answer["probabilities"].items()) == [("dog", 0.5), ("owl", 0.375)]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"min_score": "2"}, "min_score: expected a number from 0 to 1, found '2'"),
        ({"min_score": "nan"}, "found 'nan'"),
        ({"min_score": "half"}, "Try: ?min_score=0.5"),
        ({"top": "0"}, "top: expected a whole number above 0, found '0'"),
        ({"top": "²"}, "Try: ?top=5"),
        ({"path": "/etc/passwd"}, "'path' is not known here"),
        ({"url": "http://a/b.jpg"}, "a path or an address is not read"),
    ],
)
def test_what_is_asked_wrongly_is_refused(query, message):
    with pytest.raises(UploadError) as caught:
        AnswerOptions.read(query)
    assert (caught.value.status, message in str(caught.value)) == (422, True), caught.value


@pytest.mark.parametrize(
    ("query", "prediction"), [({"min_score": "0.5"}, CLASS), ({"min_score": "0.5"}, MASK), ({"top": "3"}, MASK)]
)
def test_an_option_that_the_task_does_not_have_is_refused(query, prediction):
    with pytest.raises(UploadError, match="Leave it out"):
        AnswerOptions.read(query).document(prediction, "any")
