"""Instances and class masks from YOLO's outlines."""

import numpy
import pytest

from visionkit.data.sources import parse_source
from visionkit.errors import UserError

OUTLINE = "1 0.25 0.2 0.75 0.2 0.75 0.6 0.25 0.6"


@pytest.fixture
def make_source(settings, make_yolo):
    """A source whose images all have the same lines."""

    def make(*lines, target="instances"):
        root = make_yolo()
        for file in (root / "labels").rglob("*.txt"):
            file.write_text("\n".join(lines))
        return parse_source(settings("yolo", root=str(root), image_size=32)).for_target(target)

    return make


def test_outlines_become_pixels_of_each_image(make_source, save_image):
    source = make_source(OUTLINE)
    save_image(source.read().root / "images" / "train" / "train1.png", size=(100, 60))
    samples = source.splits(seed=0).samples["train"]
    for index, (height, width) in enumerate([(30, 40), (100, 60)]):
        expected = numpy.zeros((height, width))
        expected[height // 5 : 3 * height // 5, width // 4 : 3 * width // 4] = 1
        objects = samples.annotation(index)
        assert numpy.array_equal(objects.masks(height, width)[0], expected)
        corners = numpy.array([[0.25 * width, 0.2 * height, 0.75 * width, 0.6 * height]])
        assert numpy.allclose(objects.boxes, corners)


def test_class_masks_have_the_background_first(make_source):
    source = make_source(OUTLINE, target="mask")
    assert source.info().class_names == ("background", "cat", "dog")
    mask = source.splits(seed=0).samples["val"].mask(1)
    assert mask.shape == (30, 40)
    assert (mask[6:18, 10:30] == 2).all()
    assert int((mask > 0).sum()) == 12 * 20


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("0 0.5 0.5 0.25 0.5", "outline(s) with fewer than three points"),
        ("0 0.1 0.1 0.9 0.9", "outline(s) with fewer than three points"),
        ("0 0.1 0.1 0.9 0.9 0.5 0.5 0.3", "line(s) that are not 'class x y x y x y ...'"),
        ("0 a b", "line(s) that are not 'class x y x y x y ...'"),
        ("0 0.1 0.1 nan 0.1 0.5 0.5", "box(es) whose coordinates are no numbers"),
        ("0 0.1 0.1 1e400 0.1 0.5 0.5", "box(es) whose coordinates are no numbers"),
        ("0 1.1 0.1 1e9 0.1 1e9 0.5", "box(es) outside the image"),
    ],
)
def test_odd_lines_are_dropped_counted_and_named(make_source, line, words):
    source = make_source(OUTLINE, line)
    splits = source.splits(seed=0)
    notes = [note for note in splits.notes if words in note]
    assert [note.split(" ")[0] for note in notes] == ["6", "2"]  # of train, of val
    assert "train0.txt line 2" in notes[0]
    assert len(splits.samples["train"].annotation(0)) == 1
    with pytest.raises(UserError, match=r"dataset 'yolo': 6 .*train0.txt line 2"):
        source.check(strict=True)


def test_boxes_alone_leave_nothing_to_train_on(make_source):
    with pytest.raises(UserError, match=r"no annotation at all.*fewer than three points.*Expected outlines in some"):
        make_source("0 0.5 0.5 0.25 0.5").check()


def test_far_outlines_keep_their_part_within_and_are_said(make_source):
    splits = make_source("0 0 0 1e9 0 1e9 1e9").splits(seed=0)
    objects = splits.samples["train"].annotation(0)
    assert [finding.code for finding in splits.findings][:4] == ["box-clipped", "outline-clipped"] * 2
    inside = numpy.mgrid[:30, :40]
    expected = (inside[0] + 0.5) / 30 < (inside[1] + 0.5) / 40
    assert (objects.masks(30, 40)[0] != expected).mean() < 0.03  # the pixels of the diagonal
