"""Near-binary masks: which values are strays of two levels, and which are ids."""

import numpy
import pytest

from visionkit.data.mask_contents import ValueCounts
from visionkit.data.sources.masks.binary import find_levels, nearest_level


def counts(*, solid: tuple[int, ...] = (), **pixels: int) -> ValueCounts:
    """``counts(v0=90, v255=10)``: 90 pixels of 0 and 10 of 255; those of the ``solid`` values lie in areas."""
    values = sorted((int(name[1:]), number) for name, number in pixels.items())
    areas = [number // 2 if value in solid else 0 for value, number in values]
    return ValueCounts(*(numpy.array(column, dtype=numpy.int64) for column in (*zip(*values, strict=True), areas)))


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
    assert find_levels(masks, lossy=False) == levels


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
        [counts(v0=60, v200=20, v210=20, solid=(0, 200, 210))],
        [counts(v0=9800, v240=30, v255=170, solid=(0, 240, 255))],
        [counts(v0=9900, v1=30, v255=70, solid=(0, 1, 255))],
        [counts(v0=9899, v1=1, v255=100), counts(v0=9899, v1=1, v255=100)],
        [],
    ],
)
def test_other_values_are_classes_of_their_own(masks):
    assert find_levels(masks, lossy=False) is None


def test_98_percent_of_each_mask_are_asked_for_not_of_all_together():
    clean = counts(v0=9000, v255=1000)
    assert find_levels([clean, counts(v0=900, v255=80, v100=20)], lossy=False) == (0, 255)
    assert find_levels([clean, counts(v0=900, v255=79, v100=21)], lossy=False) is None


def test_each_value_is_read_as_the_nearer_level():
    nearest = nearest_level((0, 255))
    assert [nearest[value] for value in (0, 1, 127, 128, 254, 255)] == [0, 0, 0, 1, 1, 1]
    assert len(nearest) == 256
    assert nearest_level((0, 65535))[40000] == 1


def test_values_that_fill_areas_are_classes_unless_jpeg_would_shift_areas_so():
    shifted = [counts(v0=600, v3=100, v250=100, v255=200, solid=(0, 3, 250, 255))]
    assert find_levels(shifted, lossy=False) is None
    assert find_levels(shifted, lossy=True) == (0, 255)
    assert find_levels([counts(v0=600, v240=200, v255=200, solid=(0, 240, 255))], lossy=True) is None


def test_masks_that_were_saved_as_jpeg_before_are_recognised_by_their_noise():
    noisy = counts(v0=600, v1=40, v2=20, v3=5, v252=5, v253=20, v254=10, v255=300, solid=(0, 1, 2, 253, 255))
    assert find_levels([noisy], lossy=False) == (0, 255)


def test_white_may_be_rounded_to_254():
    assert find_levels([counts(v0=60, v254=40, solid=(0, 254)), counts(v0=50, v255=50)], lossy=False) == (0, 255)
