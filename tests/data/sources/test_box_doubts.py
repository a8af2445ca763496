import numpy
import pytest

from visionkit.data.annotations import Annotations, Objects
from visionkit.data.polygons import Polygons
from visionkit.data.sources.annotations import AnnotatedImages, ParsedDataset
from visionkit.data.sources.box_doubts import doubt_corners, doubt_fractions
from visionkit.errors import UserError

SIZES = numpy.array([[30, 40]] * 40)  # height, width


def corners(seed: int = 0) -> numpy.ndarray:
    """Boxes spread over images 40 wide and 30 high, xyxy, float64 (40, 4)."""
    generator = numpy.random.default_rng(seed)
    ends = numpy.sort(generator.uniform(0, 1, (40, 2, 2)), axis=1)
    return ends.reshape(40, 4) * (40, 30, 40, 30)


def read_as_xywh(values: numpy.ndarray) -> numpy.ndarray:
    return numpy.concatenate([values[:, :2], values[:, :2] + values[:, 2:]], axis=1)


def read_as_center(values: numpy.ndarray) -> numpy.ndarray:
    return numpy.concatenate([values[:, :2] - values[:, 2:] / 2, values[:, :2] + values[:, 2:] / 2], axis=1)


def parsed(boxes, *, outlines=None, relative: bool = False) -> ParsedDataset:
    segmentations = None if outlines is None else Polygons.from_list(outlines, is_rle=False)
    objects = Objects.from_columns(boxes, [0] * len(boxes), segmentations=segmentations)
    annotations = Annotations(numpy.arange(len(boxes) + 1), objects)
    names = [f"{row}.png" for row in range(len(boxes))]
    images = AnnotatedImages(names, SIZES[: len(boxes)], annotations, relative)
    return ParsedDataset("data", {"train": images}, ("cat",), [])


def test_corners_read_as_a_point_and_a_size_are_said_in_pixels_and_in_fractions():
    (finding,) = doubt_corners(read_as_xywh(corners()), SIZES, place="train.json")
    outside = int((read_as_xywh(corners())[:, 2:] > [41, 31]).any(axis=1).sum())
    assert (finding.code, finding.count, outside > 20) == ("box-corners", 40, True)
    assert finding.text.startswith("40 box(es) of train.json that look like two corners")
    assert f"; {outside} reach out of the image" in finding.text
    fractions = read_as_center(corners() / (40, 30, 40, 30))
    assert [finding.code for finding in doubt_corners(fractions, None, place="labels")] == ["box-corners"]


@pytest.mark.parametrize("seed", range(5))
def test_boxes_as_they_should_be_are_not_taken_for_corners(seed):
    boxes = corners(seed)
    assert doubt_corners(boxes, SIZES, place="") == doubt_corners(boxes / (40, 30, 40, 30), None, place="") == []
    assert (
        doubt_corners(boxes + numpy.array([0, 0, 5, 5]), SIZES, place="") == []
    )  # half of them reach out, but are no corners


def test_too_few_boxes_or_unknown_sizes_leave_no_doubt():
    boxes = read_as_xywh(corners())
    assert doubt_corners(boxes[:3], SIZES[:3], place="") == doubt_corners(boxes, SIZES * 0, place="") == []


def test_fractions_where_pixels_are_expected_are_an_error_that_names_the_split():
    with pytest.raises(UserError, match=r"the boxes of all 2 objects of train in 'data' lie between 0 and 1.* pixels"):
        doubt_fractions(parsed([[0.1, 0.1, 0.4, 0.4], [0.2, 0.3, 0.9, 1]]))
    square = [0.1, 0.1, 0.4, 0.1, 0.4, 0.4]
    with pytest.raises(UserError, match=r"the outlines of all 1 objects of train"):
        doubt_fractions(parsed([[3, 3, 20, 20]], outlines=[square]))


def test_a_few_fractions_among_pixels_are_said_and_kept():
    result = doubt_fractions(parsed([[0.1, 0.1, 0.4, 0.4], [2, 3, 9, 10], [0, 0, 1, 1]]))
    assert [(finding.code, finding.places) for finding in result.findings] == [("box-fraction", ("0.png",))]
    assert len(result.splits["train"].annotations.objects) == 3


def test_fractions_where_fractions_are_expected_are_right():
    assert doubt_fractions(parsed([[0.1, 0.1, 0.4, 0.4]], relative=True)).findings == []
