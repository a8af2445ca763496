"""Masks in the pixels of the original images, against interpolation image by image."""

import pytest
import torch
from torch.nn import functional as F

from visionkit import masks
from visionkit.masks import restore_logits, restore_masks

SAME = ([[16, 20]] * 3, [[37, 41]] * 3)
DIFFERENT = ([[16, 20], [9, 20], [16, 5], [9, 20]], [[37, 41], [18, 40], [16, 5], [18, 40]])


def _case(sizes, *, classes=5):
    torch.manual_seed(0)
    image_sizes, original_sizes = (torch.tensor(rows) for rows in sizes)
    return torch.randn(len(image_sizes), classes, 16, 20), image_sizes, original_sizes


def _one_by_one(logits, image_sizes, original_sizes):
    for image, (height, width), size in zip(logits, image_sizes.tolist(), original_sizes.tolist(), strict=True):
        yield F.interpolate(image[None, :, :height, :width], size, mode="bilinear", align_corners=False)[0]


@pytest.mark.parametrize("sizes", [SAME, DIFFERENT])
def test_logits_are_restored_as_one_by_one(sizes):
    case = _case(sizes)
    restored = restore_logits(*case)
    for image, expected in zip(restored, _one_by_one(*case), strict=True):
        torch.testing.assert_close(image, expected, rtol=0, atol=1e-6)  # the same sums in another order


@pytest.mark.parametrize("largest", [1 << 25, 7_000, 1])
@pytest.mark.parametrize("sizes", [SAME, DIFFERENT])
def test_masks_are_the_most_likely_classes_however_little_is_held_at_once(monkeypatch, sizes, largest):
    monkeypatch.setattr(masks, "_LARGEST", largest)
    case = _case(sizes)
    restored = restore_masks(*case)
    tallest, widest = case[2].amax(dim=0).tolist()
    assert (restored.dtype, restored.shape) == (torch.uint8, (len(case[0]), tallest, widest))
    for mask, expected, (height, width) in zip(restored, _one_by_one(*case), case[2].tolist(), strict=True):
        assert torch.equal(mask[:height, :width].long(), expected.argmax(dim=0))
        assert mask[height:].sum() == mask[:, width:].sum() == 0


def test_padding_has_no_say_at_the_edge_of_an_image():
    logits = torch.zeros(1, 2, 8, 8)
    logits[:, 1] = 5.0
    logits[:, 1, :4, :4] = -5.0
    assert restore_masks(logits, torch.tensor([[4, 4]]), torch.tensor([[11, 13]])).sum() == 0
