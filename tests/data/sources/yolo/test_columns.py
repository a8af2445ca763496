"""What stands behind the class of a line: a box, an outline, or a box with more behind it."""

import numpy
import pytest

from visionkit.data.sources import parse_source
from visionkit.data.sources.yolo.columns import find_column_rule
from visionkit.errors import UserError

BOX = (0.5, 0.5, 0.4, 0.4)
RANDOM = numpy.random.RandomState(0)


def poses(count, *, num_points=2, visibility=False):
    """Boxes with points within them."""
    lines = []
    for _ in range(count):
        box = (*RANDOM.uniform(0.3, 0.7, 2), *RANDOM.uniform(0.1, 0.3, 2))
        points = [
            (box[0] + RANDOM.uniform(-0.5, 0.5) * box[2], box[1] + RANDOM.uniform(-0.5, 0.5) * box[3])
            + ((float(RANDOM.randint(0, 3)),) if visibility else ())
            for _ in range(num_points)
        ]
        lines.append((*box, *(value for point in points for value in point)))
    return lines


def outlines(count, num_points=4):
    return [tuple(RANDOM.uniform(0, 1, 2 * num_points)) for _ in range(count)]


def kinds(lines, *, columns=None, kpt_shape=None, with_masks=False):
    rule = find_column_rule(lines, columns=columns, kpt_shape=kpt_shape, with_masks=with_masks)
    return {rule.kind(line) for line in lines}


@pytest.mark.parametrize(
    ("lines", "kind"),
    [
        ([BOX], "box"),
        ([(*BOX, 0.9)], "box"),  # a confidence
        ([(*BOX, 1.57)], "extra"),  # an angle
        ([(*BOX, 0.9, 7.0), (*BOX, 0.8, 1.0)], "extra"),  # a confidence and a track
        (poses(12), "extra"),
        (poses(12, num_points=1), "extra"),
        (poses(3, num_points=4, visibility=True), "extra"),
        (poses(1, num_points=17, visibility=True), "extra"),
        ([*poses(10), (0.5, 0.5, 0.2, 0.2, 0.0, 0.0, 0.5, 0.5)], "extra"),  # a point that is not seen
        (outlines(12), "outline"),
        (outlines(1), "outline"),
        (outlines(12, num_points=3), "outline"),
        (outlines(12, num_points=5), "outline"),
        ([(0, 0, 1, 0, 1, 1, 0, 1)], "outline"),
        ([(*BOX, 0.5, 0.5, 0.3)], "malformed"),
        ([(*BOX, 0.5, 0.5, 0.3 + index / 100) for index in range(10)], "extra"),
    ],
)
def test_lines_are_told_apart_by_their_values(lines, kind):
    assert kinds(lines) == {kind}


def test_a_set_of_boxes_and_outlines_is_both():
    assert kinds([BOX, *outlines(12)]) == {"box", "outline"}
    assert kinds([BOX, *poses(12)]) == {"box", "outline"}


def test_a_few_lines_that_may_be_either_ask_what_they_are():
    lines = poses(4)
    with pytest.raises(
        UserError, match=r"8 numbers .* may be an outline, or a box with points.*kpt_shape: \[2, 2\].*=outline"
    ):
        kinds(lines)
    assert kinds(lines * 5, with_masks=True) == {"outline"}
    assert kinds(lines, columns="outline") == {"outline"}
    assert kinds(lines, columns="box") == {"box"}


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (BOX, "box"),
        ((*BOX, *[0.5] * 6), "box"),
        ((*BOX, *[0.5] * 6, 0.9), "box"),
        ((*BOX, *[0.5] * 4), "malformed"),
        ((*BOX, *[0.5] * 8), "malformed"),
    ],
)
def test_kpt_shape_says_how_many_values_follow_a_box(line, kind):
    assert kinds([line], kpt_shape=(2, 3)) == {kind}


@pytest.fixture
def make_source(settings, make_yolo):
    """A source of six training images whose label files have these lines."""

    def make(lines, *, yaml="", **changes):
        root = make_yolo(text=f"train: images/train\nval: images/val\nnames: [cat, dog]\n{yaml}")
        for file in sorted((root / "labels").rglob("*.txt")):
            file.write_text("\n".join(lines))
        return parse_source(settings("yolo", root=str(root), image_size=32, **changes))

    return make


@pytest.mark.parametrize("shape", ["[1, 3]", "[2, 2]"])
def test_points_behind_a_box_change_nothing_of_it(make_source, shape):
    points = "0.45 0.5 2" if shape == "[1, 3]" else "0.45 0.5 0.55 0.5"
    splits = make_source([f"1 0.5 0.5 0.25 0.5 {points}"], yaml=f"kpt_shape: {shape}").splits(seed=0)
    assert splits.samples["train"].annotation(0).boxes.tolist() == [[15, 7.5, 25, 22.5]]
    assert splits.notes[:-1] == [f"the {shape[1]} point(s) behind each box, as kpt_shape says, are left out"]


def test_unexplained_columns_are_left_out_counted_and_named(make_source):
    lines = [f"0 0.5 0.5 0.{n} 0.5 0.5 0.5 0.45 0.4" for n in range(10, 22)]
    source = make_source(lines)
    splits = source.splits(seed=0)
    note = splits.notes[0]
    assert note.startswith("72 line(s) with columns after the box that nothing explains, which are left out: ")
    boxes = splits.samples["train"].annotation(0).boxes
    assert numpy.allclose(boxes[0], [18, 7.5, 22, 22.5])
    with pytest.raises(UserError, match=r"kpt_shape: \[points, 2 or 3\], or dataset.columns=box or outline"):
        source.check(strict=True)
    outlines = make_source(lines, columns="outline").splits(seed=0)
    assert [finding.code for finding in outlines.findings] == ["class-untrained"]
    assert numpy.allclose(outlines.samples["train"].annotation(0).boxes[0], [4, 12, 20, 15])


def test_a_line_of_another_number_of_points_is_refused(make_source):
    splits = make_source(["0 0.5 0.5 0.25 0.5", "1 0.5 0.5 0.25 0.5 0.5"], yaml="kpt_shape: [17, 3]").splits(seed=0)
    assert len(splits.samples["train"].annotation(0)) == 2
    lines = ["0 0.5 0.5 0.25 0.5", "1 0.5 0.5 0.25 0.5 0.5 0.5"]
    notes = make_source(lines, yaml="kpt_shape: [17, 3]").splits(seed=0).notes
    assert "6 line(s) that are not 'class x y width height and 51 numbers of points' dropped" in notes[1]


def test_points_are_no_outlines_for_masks(make_source):
    source = make_source(["1 0.5 0.5 0.25 0.5 0.45 0.5 0.55 0.5"], yaml="kpt_shape: [2, 2]").for_target("instances")
    with pytest.raises(UserError, match=r"no annotation at all.*6 outline\(s\) with fewer than three points"):
        source.check()
