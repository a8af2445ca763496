"""The plot of score against latency."""

import itertools

import pytest
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

from visionkit.report.plots.score_latency import MAX_PANELS, ScorePoint, plot_score_latency, score_latency_figure

POINTS = [
    ScorePoint(network, engine, batch, time * factor * (1 + 0.8 * (batch > 1)), score - loss)
    for batch in (1, 8, 32, 64)
    for network, time, score in (("lenet", 0.4, 0.985), ("resnet18", 12.0, 0.994), ("mobilenet", 9.0, 0.991))
    for engine, factor, loss in (("eager", 1.0, 0.0), ("onnx", 0.5, 0.0), ("onnx-int8", 0.3, 0.004))
]


def test_a_picture_is_written_and_nothing_without_points(tmp_path):
    assert not plot_score_latency([], tmp_path / "none.png", metric="val/accuracy")
    assert not (tmp_path / "none.png").exists()
    assert plot_score_latency(POINTS[:3], tmp_path / "a.png", metric="val/accuracy")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_points_lie_at_their_milliseconds_and_per_cent_and_each_batch_has_a_panel():
    figure = score_latency_figure(POINTS, metric="val/accuracy")
    assert len(figure.axes) == MAX_PANELS
    axes = figure.axes[1]
    assert (axes.get_title(loc="left"), axes.get_xscale()) == ("val/accuracy (%), 8 images at once", "log")
    drawn = [tuple(line.get_xydata()[0]) for line in axes.lines if line.get_marker() != "None"]
    expected = [(point.milliseconds, 100 * point.score) for point in POINTS if point.batch == 8]
    assert [x for x, _ in sorted(drawn)] == pytest.approx([x for x, _ in sorted(expected)])
    assert [y for _, y in sorted(drawn)] == pytest.approx([y for _, y in sorted(expected)])


def test_no_name_covers_another_or_a_point():
    figure = score_latency_figure([point for point in POINTS if point.batch == 1], metric="val/accuracy")
    (axes,) = figure.axes
    labels = axes.findobj(Annotation)
    assert sorted(label.get_text() for label in labels) == sorted(
        ["eager", "onnx", "onnx-int8"] * 3 + ["lenet", "resnet18", "mobilenet"]
    )
    boxes = [label.get_window_extent() for label in labels]
    for one, other in itertools.combinations(boxes, 2):
        shared = Bbox.intersection(one, other)
        assert shared is None or shared.width * shared.height < 1
    for point in POINTS[:9]:
        x, y = axes.transData.transform((point.milliseconds, 100 * point.score))
        assert not any(box.contains(x, y) for box in boxes)
