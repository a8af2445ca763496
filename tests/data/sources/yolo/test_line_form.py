"""Label files in another form than YOLO's, and what is said of them."""

import pytest

from visionkit.data.sources import parse_source
from visionkit.errors import UserError


@pytest.fixture
def make_source(settings, make_yolo):
    """A data set of 8 images with these lines in each label file."""

    def make(text, **changes):
        root = make_yolo()
        for file in (root / "labels").rglob("*.txt"):
            file.write_text(text)
        return parse_source(settings("yolo", root=str(root), image_size=32, **changes))

    return make


@pytest.mark.parametrize("line", ["0 20 15 10 10", "0 50 50 20 20", "0 2 2 20 3 30 25"])
def test_pixels_and_per_cent_are_an_error_that_says_what_is_expected(make_source, line):
    words = rf"coordinates of 8 of 8 lines are above 1, .*train0.txt line 1 has {line[2:8]}.*Expected fractions"
    with pytest.raises(UserError, match=words):
        make_source(line).check()


def test_a_few_lines_outside_the_image_are_still_dropped_and_said(make_source):
    splits = make_source("0 0.5 0.5 0.2 0.2\n1 0.5 0.4 0.2 0.2\n1 5 5 0.2 0.2").splits(seed=0)
    assert [(finding.code, finding.count) for finding in splits.findings] == [("box-outside", 6), ("box-outside", 2)]


def test_class_names_instead_of_numbers_are_named(make_source):
    words = (
        r"train0.txt line 1 is 'cat 0.5 0.5 0.2 0.2', which begins with the name .* its number: 0 for cat, 1 for dog"
    )
    with pytest.raises(UserError, match=words):
        make_source("cat 0.5 0.5 0.2 0.2").check()


def test_the_form_of_dota_is_named(make_source):
    with pytest.raises(UserError, match=r"line 1 is '10 10 30 10 30 20 10 20 plane 0', DOTA's form: four corners"):
        make_source("10 10 30 10 30 20 10 20 plane 0").check()


def test_a_number_behind_the_box_that_is_taken_for_a_confidence_is_said(make_source):
    splits = make_source("0 0.5 0.5 0.2 0.2 0.7\n1 0.5 0.4 0.2 0.2").splits(seed=0)
    assert [(finding.code, finding.count) for finding in splits.findings] == [
        ("line-confidence", 6),
        ("line-confidence", 2),
    ]
    assert make_source("0 0.5 0.5 0.2 0.2 0.7\n1 0.5 0.4 0.2 0.2", columns="box").splits(seed=0).findings == []


def test_corners_instead_of_a_centre_and_a_size_are_said(make_source):
    codes = [finding.code for finding in make_source("0 0.6 0.6 0.9 0.9\n1 0.5 0.4 0.9 0.8").splits(seed=0).findings]
    assert codes == ["box-corners", "box-clipped", "box-corners", "box-clipped"]
