"""Near-binary masks: which values are strays of two levels, and which are ids."""

import numpy
import pytest

from visionkit.data.mask_values import ValueCounts
from visionkit.data.sources.masks.binary import find_levels, nearest_level


def counts(**pixels: int) -> ValueCounts:
    """``counts(v0=90, v255=10)``: 90 pixels of 0 and 10 of 255."""
    values = sorted((int(name[1:]), number) for name, number in pixels.items())
    return ValueCounts(*(numpy.array(column, dtype=numpy.int64) for column in zip(*values, strict=True)))


@pytest.mark.parametrize(
    ("masks", "levels"),
    [
        ([counts(v0=90, v255=10)], (0, 255)),
        ([counts(v0=90, v255=10), counts(v0=100)], (0, 255)),
        ([counts(v255=600, v0=399, v254=1)], (0, 255)),
        ([counts(v0=60, v250=20, v255=20)], (0, 250)),
        ([counts(v0=500, v1=20, v2=20, v240=20, v255=420, v128=20)], (0, 255)),
        ([counts(v0=90, v128=10)], (0, 128)),
        ([counts(v0=90, v65535=10)], (0, 65535)),
    ],
)
def test_pixels_near_two_levels_make_masks_binary(masks, levels):
    assert find_levels(masks) == levels


@pytest.mark.parametrize(
    "masks",
    [
        [counts(v0=40, v127=30, v255=30)],
        [counts(v0=900, v255=100), counts(v0=950, v127=30, v255=20)],
        [counts(v0=60, v1=30, v2=10)],
        [counts(v0=60, v1=30, v255=10)],
        [counts(v0=40, v1=30, v2=10, v255=20)],
        [counts(v0=90, v50=10)],
        [counts(v0=100)],
        [counts(v0=40, v400=30, v800=30)],
        [],
    ],
)
def test_other_values_are_classes_of_their_own(masks):
    assert find_levels(masks) is None


def test_98_percent_of_each_mask_are_asked_for_not_of_all_together():
    clean = counts(v0=9000, v255=1000)
    assert find_levels([clean, counts(v0=900, v255=80, v100=20)]) == (0, 255)
    assert find_levels([clean, counts(v0=900, v255=79, v100=21)]) is None


def test_each_value_is_read_as_the_nearer_level():
    nearest = nearest_level((0, 255))
    assert [nearest[value] for value in (0, 1, 127, 128, 254, 255)] == [0, 0, 0, 1, 1, 1]
    assert len(nearest) == 256
    assert nearest_level((0, 65535))[40000] == 1
