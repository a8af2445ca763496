import numpy
import pytest
from pycocotools import mask as coco

from visionkit.data.polygons import Polygons, run_lengths

TRIANGLE = [2.0, 1.0, 12.5, 3.0, 5.0, 9.0]
SQUARE = [20.0, 2.0, 26.0, 2.0, 26.0, 8.0, 20.0, 8.0]


@pytest.fixture
def bits() -> numpy.ndarray:
    return numpy.random.RandomState(0).rand(5, 10, 30) < 0.4


def test_an_outline_of_right_angles_holds_the_pixels_inside():
    (found,) = Polygons.from_list([SQUARE], is_rle=False).masks(10, 30)
    expected = numpy.zeros((10, 30), dtype=numpy.uint8)
    expected[2:8, 20:26] = 1
    assert numpy.array_equal(found, expected)


def test_outlines_have_the_pixels_that_pycocotools_gives_them():
    rings = numpy.concatenate([TRIANGLE, [numpy.nan, numpy.nan], SQUARE])
    shapes = Polygons.from_list([TRIANGLE, rings], is_rle=False)
    first, both = (coco.decode(coco.merge(coco.frPyObjects(o, 10, 30))) for o in ([TRIANGLE], [TRIANGLE, SQUARE]))
    assert numpy.array_equal(shapes.masks(10, 30), [first, both])
    assert shapes.rles(10, 30)[1] == coco.merge(coco.frPyObjects([TRIANGLE, SQUARE], 10, 30))


def test_runs_give_back_the_pixels_they_were_made_of(bits):
    bits[1], bits[2] = True, False
    bits[3, 0, 0] = True
    shapes = Polygons.from_list([run_lengths(each) for each in bits], is_rle=True)
    assert numpy.array_equal(shapes.masks(10, 30), bits)
    assert shapes.rles(10, 30) == [coco.encode(numpy.asfortranarray(each.astype(numpy.uint8))) for each in bits]


def test_outlines_and_runs_lie_side_by_side_and_are_chosen_like_rows(bits):
    shapes = Polygons.from_list(
        [TRIANGLE, run_lengths(bits[0]), SQUARE, run_lengths(bits[1])], is_rle=[False, True, False, True]
    )
    whole = shapes.masks(10, 30)
    for chosen in (slice(1, 3), numpy.array([3, 0]), numpy.array([True, False, False, True]), slice(0, 0)):
        assert len(shapes[chosen]) == len(whole[chosen])
        assert numpy.array_equal(shapes[chosen].masks(10, 30), whole[chosen])
    joined = Polygons.join([shapes[:1], shapes[1:1], shapes[1:]])
    assert numpy.array_equal(joined.masks(10, 30), whole)


def test_outlines_are_enlarged_along_each_axis_by_factors_of_their_own():
    rings = [*TRIANGLE, numpy.nan, numpy.nan, *SQUARE]
    shapes = Polygons.from_list([SQUARE, rings], is_rle=False).scaled(numpy.array([[2.0, 3.0], [0.5, 1.0]]))
    assert shapes[:1].values.tolist() == [40, 6, 52, 6, 52, 24, 40, 24]
    assert shapes[1:].values[[0, 1, -2, -1]].tolist() == [1, 1, 10, 8]


def test_no_shape_has_no_pixel():
    assert Polygons.from_list([], is_rle=False).masks(4, 5).shape == (0, 4, 5)


def test_the_size_is_that_of_the_arrays():
    assert Polygons.from_list([TRIANGLE, SQUARE], is_rle=False).nbytes == 3 * 8 + 14 * 8 + 2
