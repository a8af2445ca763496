import numpy
import pytest

from visionkit.data.outlines import MAX_LENGTH
from visionkit.data.polygons import Polygons
from visionkit.data.sources.annotations import clean_boxes
from visionkit.data.sources.outlines import clean_outlines

SIZE = (30, 40)
NAN = float("nan")


def clean(ring, size=SIZE):
    sizes = None if size is None else numpy.array([size, size])
    shapes = Polygons.from_list([ring, [1200]], is_rle=[False, True])
    rows, findings = clean_outlines(shapes, sizes, "object {}".format)
    return rows.tolist(), [(finding.code, finding.places) for finding in findings]


@pytest.mark.parametrize(
    ("ring", "size", "code"),
    [
        ([1, 1, 41, 1, 41, 31], SIZE, None),
        ([1, 1, 39, 1, 1e9, 29], SIZE, "outline-clipped"),
        ([-1.5, 1, 39, 1, 30, 29], SIZE, "outline-clipped"),
        ([1, 1, 39, 1, 1e9, 29], (0, 0), None),
        ([-1.5, 1, 39, 1, 30, 29], (0, 0), None),
        ([40, 1, 50, 1, 50, 9], SIZE, "outline-outside"),
        ([1, -9, 5, -9, 5, 0], SIZE, "outline-outside"),
        ([1, 1, 2, 2, 3, float("inf")], SIZE, "outline-no-number"),
        ([1, 1, 2, NAN, 3, 3], SIZE, "outline-no-number"),
        ([1, 1, 5, 1, 5, 5, NAN, NAN, 6, 6, 9, 6, 9, 9], SIZE, None),
        ([40.0, 0, 0, 30.0] * (MAX_LENGTH // 40), SIZE, "outline-too-long"),
        ([0.1, 0.1, 1.005, 0.1, 0.5, 0.9], None, None),
        ([0.1, 0.1, 3, 0.1, 0.5, 0.9], None, "outline-clipped"),
        ([1.1, 0.1, 3, 0.1, 2, 0.9], None, "outline-outside"),
    ],
)
def test_outlines_are_kept_or_dropped_and_said(ring, size, code):
    rows, findings = clean(ring, size)
    assert rows == ([0, 1] if code in (None, "outline-clipped") else [1])
    assert findings == ([(code, ("object 0",))] if code else [])


def test_boxes_of_images_of_unknown_size_stay_finite():
    boxes, rows, findings = clean_boxes(numpy.array([[0, 0, 1e300, 5]]), numpy.zeros((1, 2)), str)
    assert (boxes.tolist(), rows.tolist()) == ([[0, 0, 2**24, 5]], [0])
    assert [finding.code for finding in findings] == ["box-clipped"]
