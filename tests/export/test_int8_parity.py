"""Which quantised file is kept, and why one is refused."""

import json

import pytest

from visionkit.console import Printer
from visionkit.export.int8_parity import Int8Parity, MeasuredFile, choose, int8_lines, refusals
from visionkit.export.parity import Parity
from visionkit.text import json_text


def measured(scheme, points_lost, milliseconds):
    return MeasuredFile(scheme, 0.9 - points_lost / 100, points_lost, milliseconds, 1_000_000)


FLOAT = measured("float32", 0.0, 4.0)


@pytest.mark.parametrize(
    ("per_channel", "per_tensor", "expected"),
    [
        ((0.2, 2.0), (0.5, 1.0), "per_channel"),  # fewer points lost
        ((0.2, 2.0), (0.2, 1.9), "per_tensor"),  # as many: faster
        ((0.201, 2.0), (0.204, 1.9), "per_tensor"),  # as many as are printed
        ((-0.4, 2.0), (-0.1, 1.9), "per_tensor"),  # a gain is chance
        ((0.0, 4.5), (0.9, 1.0), "per_tensor"),  # the other one is refused
        ((2.0, 1.0), (1.5, 1.0), "per_tensor"),  # both are
    ],
)
def test_the_better_one_is_chosen(per_channel, per_tensor, expected):
    files = [measured("per_channel", *per_channel), measured("per_tensor", *per_tensor)]
    assert choose(files, FLOAT).scheme == expected


@pytest.mark.parametrize(
    ("points_lost", "milliseconds", "expected"),
    [
        (1.0, 3.99, []),
        (-0.5, 1.0, []),
        (1.01, 1.0, ["it loses 1.01 points of the metric, and may lose 1"]),
        (0.0, 4.0, ["it is no faster on this CPU: 4.00 ms for an image, the float file 4.00 ms"]),
        (
            float("nan"),
            1.0,
            ["the metric is not a number on the validation split, so that nothing is known of its loss"],
        ),
    ],
)
def test_a_file_that_loses_more_than_a_point_or_is_no_faster_is_refused(points_lost, milliseconds, expected):
    assert refusals(measured("per_tensor", points_lost, milliseconds), FLOAT) == expected


def parity(*, problems=(), calibration_images=200, validation_images=270):
    files = (FLOAT, measured("per_channel", 0.25, 1.0), measured("per_tensor", 0.5, 0.9))
    return Int8Parity(
        Parity(images=200, noise=4), "val/accuracy", 0.9, files, "per_channel", 7, calibration_images,
        validation_images, problems,
    )  # fmt: skip


def test_the_table_has_each_file_with_its_figures_and_marks_the_one_that_is_kept(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    Printer().print(*int8_lines(parity()))
    printed = capsys.readouterr().out
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in printed.splitlines() if line.startswith("│")]
    assert rows == [
        ["float32", "0.9000", "0.00", "4.00", "1.00", "1.00"],
        ["per channel (kept)", "0.8975", "0.25", "1.00", "0.25", "1.00"],
        ["per tensor", "0.8950", "0.50", "0.90", "0.23", "1.00"],
    ]
    assert "7 layers have 8 bits, calibrated on 200 training images" in printed


def test_few_images_are_noted_and_a_refusal_is_told(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    Printer().print(*int8_lines(parity(problems=("it is slow",), calibration_images=3, validation_images=20)))
    printed = capsys.readouterr().out
    assert "note: calibrated on 3 training images alone" in printed
    assert "note: measured on 20 validation images alone, of which each counts about 5.0 points" in printed
    assert "per channel (the better one)" in printed
    assert printed.endswith("refused: it is slow\n")


def test_the_document_has_all_figures():
    document = json.loads(json_text(parity().document()))
    assert (document["passed"], document["chosen"], document["run_metric"]) == (True, "per_channel", 0.9)
    assert document["files"][1] == {
        "scheme": "per_channel", "metric": pytest.approx(0.8975), "points_lost": 0.25, "milliseconds": 1.0,
        "num_bytes": 1_000_000,
    }  # fmt: skip
    assert document["float_parity"]["passed"]
    assert document["limits"] == {"max_points_lost": 1.0}
