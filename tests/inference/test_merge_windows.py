"""Objects of overlapping windows: each once, those that a window cuts as another window shows them."""

import itertools

import pytest
import torch

from visionkit.inference.merge_windows import WindowPrediction, merge_windows

IMAGE = (100, 180)
LEFT, RIGHT = (0, 0), (80, 0)  # of windows of 100 x 100


def window(corner, *objects):
    """A window, and what it shows: boxes in pixels of the image, score, label."""
    boxes = torch.tensor([box for box, *_ in objects], dtype=torch.float32).reshape(-1, 4)
    boxes -= torch.tensor([*corner, *corner])
    return WindowPrediction(
        corner,
        (100, 100),
        {
            "boxes": boxes,
            "scores": torch.tensor([score for _, score, _ in objects]),
            "labels": torch.tensor([label for *_, label in objects], dtype=torch.int64),
        },
    )


def merged(*windows):
    outputs = merge_windows(windows, IMAGE)
    return [
        (box, round(score, 3), label)
        for box, score, label in zip(
            outputs["boxes"].tolist(), outputs["scores"].tolist(), outputs["labels"].tolist(), strict=True
        )
    ]


def test_boxes_are_those_of_the_image_by_descending_score():
    found = merged(window(LEFT, ([1, 2, 30, 40], 0.3, 0)), window(RIGHT, ([120, 5, 150, 60], 0.9, 1)))
    assert found == [([120, 5, 150, 60], 0.9, 1), ([1, 2, 30, 40], 0.3, 0)]


def test_an_object_that_two_windows_show_is_kept_once_with_its_higher_score():
    whole = window(LEFT, ([82, 20, 97, 40], 0.7, 0)), window(RIGHT, ([82.5, 20, 97, 41], 0.8, 0))
    assert merged(*whole) == [([82.5, 20, 97, 41], 0.8, 0)]


def test_a_part_gives_way_to_the_whole_object_even_if_its_score_is_higher():
    found = merged(window(LEFT, ([85, 20, 100, 40], 0.9, 0)), window(RIGHT, ([85, 20, 140, 40], 0.6, 0)))
    assert found == [([85, 20, 140, 40], 0.6, 0)]


@pytest.mark.parametrize(
    "other",
    [
        ([85, 20, 140, 40], 0.6, 1),
        ([85, 20, 140, 40], 0.4, 0),
        ([95, 20, 140, 40], 0.8, 0),
        ([85, 60, 140, 80], 0.8, 0),
    ],
)
def test_a_part_stays_beside_another_class_a_doubtful_box_and_what_covers_less_than_half_of_it(other):
    part = ([85, 20, 100, 40], 0.9, 0)
    assert merged(window(LEFT, part), window(RIGHT, other)) == [part, other]


def test_what_ends_at_the_edge_of_the_image_is_not_cut():
    small, large = ([0, 0, 20, 20], 0.9, 0), ([0, 0, 90, 90], 0.6, 0)
    assert merged(window(LEFT, small, large), window(RIGHT)) == [small, large]


def test_both_parts_of_an_object_larger_than_the_overlap_are_kept():
    parts = ([10, 20, 100, 60], 0.9, 0), ([80, 20, 170, 60], 0.8, 0)
    assert merged(window(LEFT, parts[0]), window(RIGHT, parts[1])) == list(parts)


def test_many_boxes_are_suppressed_as_if_all_were_compared_with_all():
    """Each object has a box that is clearly the best, so that the order of comparisons is of no account."""
    generator = torch.Generator().manual_seed(0)
    size, objects = (1000, 1500), []
    for top, left in itertools.product(range(20, 980, 60), range(20, 1480, 60)):
        shifts = torch.rand(4, 2, generator=generator) * 4
        scores = [0.9, *(torch.rand(3, generator=generator) * 0.5).tolist()]
        objects += [
            ([left + x, top + y, left + x + 40, top + y + 40], score, int(left) % 2)
            for (x, y), score in zip(shifts.tolist(), scores, strict=True)
        ]
    whole = WindowPrediction((0, 0), (100, 100), window((0, 0), *objects).outputs)
    found = merge_windows([whole], size)
    assert found["scores"].tolist() == pytest.approx([0.9] * (len(objects) // 4))


def test_masks_stay_with_their_boxes_and_nothing_found_is_no_object():
    one, other = window(LEFT, ([1, 2, 30, 40], 0.3, 0)), window(RIGHT, ([120, 5, 150, 60], 0.9, 1))
    one.outputs["mask_logits"], other.outputs["mask_logits"] = torch.zeros(1, 2, 2), torch.ones(1, 2, 2)
    assert merge_windows([one, other], IMAGE)["mask_logits"][:, 0, 0].tolist() == [1, 0]
    assert merged(window(LEFT), window(RIGHT)) == []
