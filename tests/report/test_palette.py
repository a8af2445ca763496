"""Colours of classes are far apart, also for the colour-blind, and text on them is legible."""

import itertools

import numpy as np
import pytest
from PIL import ImageColor

from visionkit.report.palette import class_colour, contrast, line_colours, oklab_views, text_colour


def _rgb(colours):
    return [ImageColor.getrgb(colour)[:3] for colour in colours]


def test_oklab_is_that_of_its_author():
    """bottosson.github.io/posts/oklab: sRGB white is (1, 0, 0); pure red, as the CSS Color 4 specification has it."""
    white, red, grey = oklab_views([[255, 255, 255], [255, 0, 0], [119, 119, 119]])[:, 0]
    assert white == pytest.approx([1, 0, 0], abs=1e-3)
    assert red == pytest.approx([0.62796, 0.22486, 0.12585], abs=1e-3)
    assert grey[1:] == pytest.approx([0, 0], abs=1e-3)


def test_the_colour_blind_see_grey_as_it_is_and_red_closer_to_green():
    grey, red, green = oklab_views([[119, 119, 119], [200, 0, 0], [0, 130, 0]])
    assert grey[1] == pytest.approx(grey[0], abs=2e-3)
    assert grey[2] == pytest.approx(grey[0], abs=2e-3)
    normal, protan, deutan = np.linalg.norm(red - green, axis=1)
    assert max(protan, deutan) < 0.6 * normal


@pytest.mark.parametrize("kind_of_vision", [0, 1, 2])
def test_the_first_twenty_colours_are_far_apart_in_each_kind_of_vision(kind_of_vision):
    """A difference of 0.02 is just visible in OKLab; matplotlib's tab20 comes down to 0.007 and 0.018."""
    views = oklab_views(_rgb(map(class_colour, range(20))))[:, kind_of_vision]
    nearest = min(np.linalg.norm(a - b) for a, b in itertools.combinations(views, 2))
    assert nearest >= 0.07


def test_the_first_colours_are_those_of_okabe_and_ito():
    published = {"#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7"}
    assert {class_colour(number) for number in range(7)} == published


def test_a_class_keeps_its_colour_however_many_there_are():
    first = [class_colour(number) for number in range(5)]
    assert len({class_colour(number) for number in range(256)}) == 256
    assert [class_colour(number) for number in range(5)] == first
    assert class_colour(999) == class_colour(999 % 256)


def test_text_on_any_colour_has_a_contrast_of_four_and_a_half():
    colours = [class_colour(number) for number in range(256)] + [f"#{g:02x}{g:02x}{g:02x}" for g in range(256)]
    assert min(contrast(text_colour(colour), colour) for colour in colours) >= 4.5
    assert contrast("#ffffff", "#000000") == pytest.approx(21)


def test_lines_on_white_are_not_light():
    colours = line_colours(10)
    assert len(set(colours)) == 10
    assert min(contrast(colour, "#ffffff") for colour in colours) > 2
