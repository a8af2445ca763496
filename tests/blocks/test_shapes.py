"""Sizes and geometry against the formulas of the papers and against torch."""

import pytest
import torch
from torch.nn import functional as F

from visionkit.blocks import Axis, DoesNotFitError, FeatureShape, Window


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding", "expected"),
    [
        (32, 5, 1, 0, 28),  # LeNet c1
        (28, 2, 2, 0, 14),  # LeNet's pooling
        (224, 11, 4, 2, 55),  # AlexNet c1
        (55, 3, 2, 0, 27),  # AlexNet's overlapping pooling
        (13, 3, 1, 1, 13),  # 3x3 with padding 1 keeps the size
        (7, 3, 2, 0, 3),
        (9, 3, 2, 0, 4),
    ],
)
def test_output_size_is_the_one_written_in_the_papers(size, kernel, stride, padding, expected):
    assert Window(kernel, stride, padding).output_size(size) == expected


def test_output_size_equals_torch_for_random_windows():
    generator = torch.Generator().manual_seed(0)
    checked = 0
    for _ in range(300):
        size, kernel, stride, dilation = (int(torch.randint(1, n, (), generator=generator)) for n in (40, 7, 5, 4))
        padding = int(torch.randint(0, kernel // 2 + 1, (), generator=generator))
        window = Window(kernel, stride, padding, dilation, ceil_mode=bool(torch.randint(0, 2, (), generator=generator)))
        x = torch.zeros(1, 1, size, 200)
        try:
            expected = F.max_pool2d(
                x, (kernel, 1), (stride, 1), (padding, 0), (dilation, 1), ceil_mode=window.ceil_mode
            ).shape[2]
        except RuntimeError:
            expected = None
        if expected is None or window.extent > size + 2 * padding:
            continue
        assert window.output_size(size) == expected, window
        checked += 1
    assert checked > 150


def test_a_kernel_larger_than_its_padded_input_does_not_fit():
    with pytest.raises(DoesNotFitError):
        Window(5, padding=1).output_size(2)


def test_receptive_field_jump_and_offset_of_lenet_follow_araujo_et_al():
    axis = Axis(32)
    seen = []
    for window in (Window(5), Window(2, 2), Window(5), Window(2, 2)):
        axis = axis.slide(window)
        seen.append((axis.size, axis.receptive_field, axis.jump, axis.offset))
    assert seen == [(28, 5, 1, 2.0), (14, 6, 2, 2.5), (10, 14, 2, 6.5), (5, 16, 4, 7.5)]


def test_geometry_is_unknown_behind_global_pooling():
    axis = Axis(7, 32, 427, 0.0).adapt(1)
    assert (axis.size, axis.jump, axis.receptive_field, axis.offset) == (1, None, None, None)


def test_merged_paths_see_what_the_wider_one_sees():
    one = FeatureShape(4, Axis(8, 2, 5), Axis(8, 2, 3))
    other = FeatureShape(4, Axis(8, 2, 3), Axis(8, 2, None))
    merged = one.merge(other)
    assert (merged.height.receptive_field, merged.width.receptive_field) == (5, None)
