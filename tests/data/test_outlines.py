"""Outlines that reach far out of their image. pycocotools ends the interpreter on the farthest of them."""

import numpy
import pytest
from pycocotools import mask as coco

from visionkit.data.outlines import MAX_LENGTH, clip_ring, ring_length, split_rings
from visionkit.data.polygons import Polygons

HEIGHT, WIDTH = 80, 96


def rasterize(*rings) -> numpy.ndarray:
    values = numpy.concatenate([part for ring in rings for part in ([numpy.nan] * 2, ring)][1:])
    return Polygons.from_list([values], is_rle=False).masks(HEIGHT, WIDTH)[0]


def reference(*rings) -> numpy.ndarray:
    return coco.decode(coco.merge(coco.frPyObjects([list(map(float, ring)) for ring in rings], HEIGHT, WIDTH)))


@pytest.mark.parametrize("far", [1e5, 1e9, 1e18, 1e300])
def test_a_triangle_that_reaches_far_out_keeps_its_part_within(far):
    assert numpy.array_equal(rasterize([0, 0, far, 0, far, far]), reference([0, 0, 2000, 0, 2000, 2000]))
    assert rasterize([0, 0, far, 0, far, far]).sum() == 4440


def test_an_outline_around_the_image_holds_all_of_it_and_one_far_away_nothing():
    assert rasterize([-1e9, -1e9, 1e9, -1e9, 1e9, 1e9, -1e9, 1e9]).all()
    assert not rasterize([1e9, 0, 2e9, 0, 2e9, 1e9]).any()


def test_an_outline_within_the_margin_is_not_changed():
    ring = numpy.random.RandomState(0).uniform(-96, 176, 24)
    assert numpy.array_equal(clip_ring(ring, HEIGHT, WIDTH), ring)
    assert numpy.array_equal(rasterize(ring), reference(ring))


def test_outlines_in_all_directions_keep_their_area():
    """Against pycocotools, which can do a few thousand pixels. Edges end elsewhere, so that a rounding may differ."""
    random = numpy.random.RandomState(0)
    differing = 0
    for _ in range(50):
        rings = [random.uniform(-1500, 1500, 2 * random.randint(3, 10)) for _ in range(2)]
        differing += int((rasterize(*rings) != reference(*rings)).sum())
    assert differing < 50 * HEIGHT * WIDTH * 0.001


def test_a_hole_between_concave_parts_stays_empty():
    """A comb that leaves the image on the right: its teeth are apart within the image."""
    comb = [10, 10, 1e6, 10, 1e6, 20, 20, 20, 20, 40, 1e6, 40, 1e6, 50, 10, 50]
    expected = numpy.zeros((HEIGHT, WIDTH))
    expected[10:50, 10:] = 1
    expected[20:40, 20:] = 0
    assert numpy.array_equal(rasterize(comb), expected)


def test_an_outline_too_long_to_be_rasterized_has_no_pixels():
    zigzag = numpy.tile([0.0, 0.0, WIDTH, HEIGHT], 1 + MAX_LENGTH // (2 * WIDTH))
    assert ring_length(zigzag) > MAX_LENGTH
    assert not rasterize(zigzag).any()


def test_rings_are_parted_at_pairs_of_nan():
    rings = split_rings(numpy.array([1.0, 2, numpy.nan, numpy.nan, 3, 4, 5, 6]))
    assert [ring.tolist() for ring in rings] == [[1, 2], [3, 4, 5, 6]]


def test_many_rings_are_merged_into_the_pixels_of_all():
    corners = [(x, y) for x in range(0, WIDTH, 4) for y in range(0, HEIGHT, 4)]
    rings = [[x, y, x + 2, y, x + 2, y + 2, x, y + 2] for x, y in corners]
    assert len(rings) == 480
    assert numpy.array_equal(rasterize(*rings), reference(*rings))


def test_run_lengths_of_another_size_have_no_pixels():
    for runs in ([0, 10], [0, HEIGHT * WIDTH + 1], [1e18, 1e18], [-5, HEIGHT * WIDTH + 5]):
        assert not Polygons.from_list([runs], is_rle=True).masks(HEIGHT, WIDTH).any()


def test_masks_of_many_objects_come_in_parts(monkeypatch):
    monkeypatch.setattr("visionkit.data.polygons._MAX_BYTES", 2 * 30 * 40 + 1)
    square = [2.0, 2, 6, 2, 6, 6, 2, 6]
    parts = list(Polygons.from_list([square] * 5, is_rle=False).mask_chunks(30, 40))
    assert [part.shape for part in parts] == [(2, 30, 40), (2, 30, 40), (1, 30, 40)]
    assert [int(part.sum()) for part in parts] == [32, 32, 16]


def test_bounds_are_the_smallest_boxes():
    bits = numpy.random.RandomState(0).rand(6, 9, 14) < 0.1
    bits[4, :, 3:5] = True
    runs = []
    for mask in bits:
        flat = mask.ravel(order="F")
        edges = numpy.flatnonzero(numpy.diff(flat.astype(int), prepend=0)).tolist()
        runs.append(numpy.diff([0, *edges, len(flat)]))
    ring = [*(5.5, 3, 8, 1, 7, 9.25), numpy.nan, numpy.nan, *(1, 4, 2, 4, 2, 5)]
    shapes = Polygons.from_list([*runs, ring, [126]], is_rle=[True] * 6 + [False, True])
    expected = [[x.min(), y.min(), x.max() + 1, y.max() + 1] for y, x in map(numpy.nonzero, bits)]
    bounds = shapes.bounds(numpy.full((8, 2), (9, 14)))
    assert bounds[:7].tolist() == [*expected, [1, 1, 8, 9.25]]
    assert numpy.isnan(bounds[7]).all()
