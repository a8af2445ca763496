"""Masks: which pixels count, and the way back to the original images."""

import pytest
import torch
from torch.nn import functional as F

from visionkit.structures import masks
from visionkit.structures.masks import pixels_inside, restore_logits, restore_masks


def test_pixels_inside_are_those_top_left():
    inside = pixels_inside(torch.tensor([[2, 3], [4, 1]]), (4, 4))
    expected = torch.zeros(2, 4, 4, dtype=torch.bool)
    expected[0, :2, :3] = True
    expected[1, :, :1] = True
    assert torch.equal(inside, expected)


def test_each_image_is_restored_as_if_it_were_alone():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(4, 3, 16, 12, generator=generator)
    image_sizes = torch.tensor([[16, 12], [8, 12], [16, 12], [16, 12]])
    original_sizes = torch.tensor([[31, 25], [31, 25], [16, 12], [31, 25]])
    restored = restore_logits(logits, image_sizes, original_sizes)
    for one, alone, (height, width), original in zip(restored, logits, image_sizes, original_sizes, strict=True):
        expected = F.interpolate(alone[None, :, :height, :width], size=original.tolist(), mode="bilinear")[0]
        torch.testing.assert_close(one, expected)


def test_images_that_kept_their_size_come_back_unchanged():
    logits = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    sizes = torch.tensor([[8, 8], [5, 7]])
    first, second = restore_logits(logits, sizes, sizes)
    assert torch.equal(first, logits[0])
    assert torch.equal(second, logits[1, :, :5, :7])


def test_padding_has_no_part_in_what_is_restored():
    logits = torch.zeros(1, 2, 8, 8)
    logits[:, :, 4:] = 100
    (restored,) = restore_logits(logits, torch.tensor([[4, 8]]), torch.tensor([[9, 16]]))
    assert restored.shape == (2, 9, 16)
    assert restored.max() == 0


@pytest.mark.parametrize("largest", [1 << 25, 7_000, 1])
@pytest.mark.parametrize(
    ("image_sizes", "original_sizes"),
    [
        ([[16, 20]] * 3, [[37, 41]] * 3),
        ([[16, 20], [9, 20], [16, 5], [9, 20]], [[37, 41], [18, 40], [16, 5], [18, 40]]),
    ],
)
def test_restored_masks_are_the_most_likely_classes_however_little_is_held_at_once(
    monkeypatch, largest, image_sizes, original_sizes
):
    monkeypatch.setattr(masks, "_MAX_ELEMENTS", largest)
    logits = torch.randn(len(image_sizes), 5, 16, 20, generator=torch.Generator().manual_seed(0))
    restored = restore_masks(logits, torch.tensor(image_sizes), torch.tensor(original_sizes))
    assert (restored.dtype, tuple(restored.shape)) == (torch.uint8, (len(logits), 37, 41))
    for mask, alone, (height, width), original in zip(restored, logits, image_sizes, original_sizes, strict=True):
        expected = F.interpolate(alone[None, :, :height, :width], size=original, mode="bilinear")[0]
        assert torch.equal(mask[: original[0], : original[1]].long(), expected.argmax(dim=0))
        assert mask[original[0] :].sum() == mask[:, original[1] :].sum() == 0
