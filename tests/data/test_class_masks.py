import numpy
import torch

from visionkit.data.annotations import Annotations, Objects
from visionkit.data.class_masks import RasterizedMasks, TensorMasks, resize_mask
from visionkit.data.polygons import Polygons


def rectangle(left, top, right, bottom) -> list[float]:
    return [left, top, right, top, right, bottom, left, bottom]


def outlined(rectangles, labels, crowd) -> Objects:
    shapes = Polygons.from_list([rectangle(*each) for each in rectangles], is_rle=False)
    return Objects.from_columns(rectangles, labels, crowd=crowd, segmentations=shapes)


def test_objects_are_painted_the_smallest_on_top_and_crowds_below_are_ignored():
    small, large, crowd = (2, 2, 4, 4), (0, 0, 6, 8), (3, 0, 10, 8)
    objects = outlined([small, large, crowd], [4, 1, 0], [False, False, True])
    (mask,) = RasterizedMasks(Annotations.join([objects]), torch.tensor([[8, 12]]))
    expected = numpy.zeros((8, 12), dtype=numpy.uint8)
    expected[0:8, 3:10] = 255
    expected[0:8, 0:6] = 2
    expected[2:4, 2:4] = 5
    assert numpy.array_equal(mask, expected)


def test_painted_masks_are_chosen_with_their_sizes():
    several = [outlined([(0, 0, 1, 1)], [number], [False]) for number in range(3)]
    masks = RasterizedMasks(Annotations.join(several), torch.tensor([[4, 5], [6, 7], [8, 9]])).select(
        torch.tensor([2, 0])
    )
    assert [tuple(mask.shape) for mask in (masks[0], masks[1])] == [(8, 9), (4, 5)]
    assert [int(mask.max()) for mask in (masks[0], masks[1])] == [3, 1]


def test_an_image_without_objects_is_all_background():
    (mask,) = RasterizedMasks(Annotations.join([outlined([], [], [])]), torch.tensor([[3, 4]]))
    assert mask.tolist() == [[0] * 4] * 3


def test_the_pixels_of_each_class_are_counted_without_ignored_ones():
    masks = TensorMasks(torch.tensor([[[0, 1], [1, 255]], [[2, 2], [2, 2]], [[0, 0], [0, 0]]], dtype=torch.uint8))
    assert masks.select(torch.tensor([0, 2])).count_pixels(4).tolist() == [5, 2, 0, 0]


def test_a_mask_is_resized_to_the_value_at_the_middle_of_each_pixel():
    mask = torch.arange(36, dtype=torch.uint8).view(6, 6)
    assert resize_mask(mask, (2, 2)).tolist() == [[7, 10], [25, 28]]
    assert torch.equal(resize_mask(mask, (12, 12)), mask.repeat_interleave(2, 0).repeat_interleave(2, 1))
    assert torch.equal(resize_mask(torch.stack([mask, mask + 1]), (2, 2))[1], resize_mask(mask + 1, (2, 2)))
    assert resize_mask(mask[None][:0], (3, 3)).shape == (0, 3, 3)
