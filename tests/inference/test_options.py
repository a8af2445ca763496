"""What may be typed behind ``predict``, and what is said of the rest."""

import numpy
import pytest
import torch

from visionkit.errors import UserError
from visionkit.inference.options import PredictOptions


def test_what_is_not_typed_is_left_to_the_task():
    assert PredictOptions.read({"split": "val"}) == PredictOptions(min_score=None, window=None, overlap=None)


@pytest.mark.parametrize(
    ("typed", "window"), [(512, (512, 512)), ([300, 400], (300, 400)), ("auto", "auto"), (None, None)]
)
def test_a_window_is_a_side_two_sides_or_that_of_the_run(typed, window):
    assert PredictOptions.read({"window": typed}).window == window


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        (0, "0. Try 512 or [512,512]"),
        (1.5, "1.5. Try 2 or [2,2]"),
        ("big", '"big". Try 512 or [512,512]'),
        ([1, 2, 3], "[1, 2, 3]. Try 1 or [1,2]"),
        (True, "true. Try 512 or [512,512]"),
        ([4, 0], "[4, 0]. Try 4 or [4,4]"),
        ([32], "[32]. Try 32 or [32,32]"),
    ],
)
def test_a_window_that_is_none_says_what_to_type(typed, shown):
    with pytest.raises(UserError) as error:
        PredictOptions.read({"window": typed})
    assert str(error.value) == (
        f"window: expected a number of pixels up to 65,536 or [height, width] or auto, found {shown}. "
        "window=auto is the size that the run was trained at."
    )


@pytest.mark.parametrize("value", [-0.1, 0.95, "half", True])
def test_an_overlap_out_of_range_says_what_to_type(value):
    with pytest.raises(UserError, match=r"overlap: expected a number from 0 to 0\.9, found '.*'\. Try: overlap=0\.25"):
        PredictOptions.read({"overlap": value, "window": 512})


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("max_detections", 0, r"max_detections: expected a whole number of objects above 0, found '0'. Try: .*=1000"),
        ("max_detections", 1.5, r"max_detections: expected a whole number"),
        ("max_pixels", "many", r"max_pixels: expected a whole number of pixels above 0, found 'many'"),
        (
            "value_range",
            255,
            r"value_range: expected the values that are black and white.*Try: value_range=\[0,65535\]",
        ),
        ("value_range", [5, 5], r"value_range: expected the values"),
        ("value_range", [0, float("nan")], r"value_range: expected the values"),
        ("value_range", [0, True], r"value_range: expected the values"),
    ],
)
def test_a_limit_or_a_range_that_is_none_says_what_to_type(key, value, message):
    with pytest.raises(UserError, match=message):
        PredictOptions.read({key: value})


def test_limits_and_ranges_are_read():
    options = PredictOptions.read({"max_detections": 1000, "value_range": [0, 4095]})
    assert (options.max_detections, options.value_range) == (1000, (0.0, 4095.0))


def test_an_overlap_without_windows_says_what_is_missing():
    message = r"overlap: found 0\.5, but there are no windows .* Try: window=512 overlap=0\.5"
    with pytest.raises(UserError, match=message):
        PredictOptions.read({"overlap": 0.5})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"min_score": 0.5}, "min_score: found 0.5, but this run sleeps. min_score is for runs that find objects"),
        ({"window": "auto"}, "window: found auto, but this run sleeps. window is for runs of task=segment, detect"),
        ({"window": (8, 9)}, "window: found [8, 9], but this run sleeps."),
    ],
)
def test_an_option_of_another_task_is_refused(options, said):
    with pytest.raises(UserError) as error:
        PredictOptions(**options).allow("overlap", reason="this run sleeps.")
    assert str(error.value).startswith(said)
    PredictOptions(**options).allow(*options, reason="this run sleeps.")


def test_numbers_of_numpy_and_torch_are_numbers():
    options = PredictOptions.read(
        {"max_pixels": numpy.int64(5), "value_range": numpy.array([0, 9.0]), "min_score": torch.tensor(0.5)}
    )
    assert (options.max_pixels, options.value_range, options.min_score) == (5, (0.0, 9.0), 0.5)
