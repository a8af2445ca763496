"""What the objects of one image may cost."""

import time

import numpy
import pytest

from visionkit.data.annotations import Annotations, Objects
from visionkit.data.polygons import Polygons
from visionkit.data.sources import object_limits
from visionkit.data.sources.annotations import AnnotatedImages, ParsedDataset
from visionkit.data.sources.object_limits import MAX_OBJECTS, limit_masks, limit_objects

SQUARE = [10, 10, 50, 10, 50, 50, 10, 50]


def parsed_images(outlines, *, size=(1000, 1000), relative=False, root="", is_rle=False):
    """A data set of an image with these outlines between two of one square."""
    shapes = Polygons.from_list([SQUARE, *outlines, SQUARE], is_rle=[False, *[is_rle] * len(outlines), False])
    image = numpy.repeat([0, 1, 2], [1, len(outlines), 1])
    boxes = numpy.tile([0.0, 0, 9, 9], (len(image), 1))
    objects = Objects.from_columns(boxes, numpy.arange(len(image)), segmentations=shapes)
    annotations = Annotations.from_sorted(objects, image, num_images=3)
    sizes = numpy.array([(100, 100), size, (100, 100)])
    images = AnnotatedImages(["a.png", "b.png", "c.png"], sizes, annotations, relative=relative)
    return ParsedDataset(root, {"train": images}, ("x",), [])


def limited(*args, **options):
    """The number of objects of each image that are left, and the findings."""
    parsed = limit_masks(parsed_images(*args, **options))
    return parsed.splits["train"].annotations.counts.tolist(), [finding.note for finding in parsed.findings]


def zigzag(count, side=1000):
    """An outline of so many points that crosses its image each time."""
    return numpy.stack([numpy.arange(count) % 2 * side, numpy.linspace(0, side, count)], axis=1).ravel()


def test_an_image_keeps_as_many_objects_as_the_limit():
    counts = [2, MAX_OBJECTS + 5, 1]
    image = numpy.repeat([0, 1, 2], counts)
    labels = numpy.arange(sum(counts))
    objects = Objects.from_columns(numpy.tile([0, 0, 1, 1], (len(labels), 1)), labels)
    images = AnnotatedImages(
        ["a", "b", "c"], numpy.zeros((3, 2)), Annotations.from_sorted(objects, image, num_images=3)
    )
    parsed = limit_objects(ParsedDataset("", {"train": images}, ("x",), []))
    kept = parsed.splits["train"].annotations
    assert kept.counts.tolist() == [2, MAX_OBJECTS, 1]
    assert kept[1].labels.tolist() == list(range(2, 2 + MAX_OBJECTS))
    assert kept[2].labels.tolist() == [MAX_OBJECTS + 7]
    (finding,) = parsed.findings
    assert finding.note == "1 image(s) with more than 2,000 objects cut to so many: b"


def test_outlines_that_take_minutes_are_cut_to_the_first_and_drawn_in_a_second():
    parsed = limit_masks(parsed_images([zigzag(1000)] * 300))
    images = parsed.splits["train"]
    assert images.annotations.counts.tolist() == [1, 4, 1]  # of a million pixels each, the limit being four
    assert [finding.note for finding in parsed.findings] == [
        "1 image(s) whose masks would take minutes to draw, cut to the first objects: b.png (4 of 300 left)"
    ]
    start = time.process_time()
    images.annotations[1].rles(1000, 1000)
    assert time.process_time() - start < 2


def test_masks_of_a_large_image_are_cut_by_their_pixels_together(monkeypatch):
    monkeypatch.setattr(object_limits, "MAX_MASK_PIXELS", 3 * 20_000**2)
    assert limited([SQUARE] * 5, size=(20_000, 20_000))[0] == [1, 3, 1]
    assert limited([[4e8]] * 5, size=(20_000, 20_000), is_rle=True)[0] == [1, 3, 1]


@pytest.mark.parametrize(
    "outlines",
    [
        [SQUARE] * 2000,
        [zigzag(1000)] * 3,
        [numpy.tile(numpy.array([-1e9, 5, 1e9, 5, 1e9, 6.0]), 5)] * 100,  # clipped where it is drawn
        [numpy.tile(SQUARE, 5000)],
    ],
)
def test_what_is_drawn_in_a_second_is_kept_as_it_is(outlines):
    parsed = parsed_images(outlines)
    assert limit_masks(parsed) is parsed


@pytest.mark.parametrize(
    "outline",
    [numpy.tile([1.0, 1, 2, 1, 2, 2, numpy.nan, numpy.nan], 50_000)[:-2], numpy.full(4_400_000, 5.0)],
    ids=["rings", "points"],
)
def test_an_outline_of_more_rings_or_points_than_can_be_drawn_is_dropped(outline):
    counts, notes = limited([SQUARE, outline, SQUARE])
    assert (counts, len(notes)) == ([1, 1, 1], 1)


def test_outlines_in_fractions_are_judged_by_the_size_of_their_file(tmp_path, save_image):
    for name in "abc":
        save_image(tmp_path / f"{name}.png", size=(100, 200))
    counts, notes = limited([zigzag(10_000, 1)] * 9, size=(0, 0), relative=True, root=tmp_path)
    assert (counts, notes) == ([1, 2, 1], [
        "1 image(s) whose masks would take minutes to draw, cut to the first objects: b.png (2 of 9 left)"
    ])  # fmt: skip
