"""Masks as large as their images: pasted where they belong, and encoded as COCO encodes them."""

import numpy as np
import pytest
import torch
from pycocotools import mask as coco

from visionkit.structures.rle import decode_mask, encode_masks, mask_iou, pack_masks, paste_masks, unpack_masks


def logits_of(probabilities):
    return torch.as_tensor(probabilities, dtype=torch.float64).logit(eps=1e-12)


def pasted(probabilities, box, size):
    (runs,) = paste_masks(logits_of(probabilities)[None], torch.tensor([box], dtype=torch.float64), size)
    return decode_mask(runs)


def test_masks_are_encoded_as_by_pycocotools():
    masks = torch.rand(5, 30, 41, generator=torch.Generator().manual_seed(0)) > torch.linspace(0, 1, 5)[:, None, None]
    for runs, mask in zip(encode_masks(masks), masks.numpy(), strict=True):
        expected = coco.encode(np.asfortranarray(mask, dtype=np.uint8))
        assert runs == {"size": [30, 41], "counts": expected["counts"].decode()}
        assert np.array_equal(decode_mask(runs), mask)


def test_bytes_are_encoded_as_bits_are():
    masks = torch.zeros(1, 8, 9, dtype=torch.uint8)
    masks[0, 2:5, 3:9] = 1
    assert encode_masks(masks) == encode_masks(masks.bool())


def test_a_full_mask_of_a_box_of_whole_pixels_fills_these():
    mask = pasted(np.ones((28, 28)), [10, 20, 66, 76], (100, 120))
    rows, columns = np.nonzero(mask)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (20, 75, 10, 65)
    assert mask.sum() == 56 * 56


def test_pixels_take_the_nearest_four_cells():
    """torch's own sampling, with zeros outside, at the middles of the pixels."""
    generator = torch.Generator().manual_seed(3)
    probabilities = torch.rand(28, 28, generator=generator, dtype=torch.float64)
    for box in ([3.3, 5.7, 61.2, 40.9], [-7.5, -3.0, 30.0, 90.0], [20.0, 20.0, 27.0, 24.0]):
        left, top, right, bottom = box
        x = (torch.arange(70) + 0.5 - left) / (right - left) * 2 - 1
        y = (torch.arange(50) + 0.5 - top) / (bottom - top) * 2 - 1
        places = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1).double()
        sampled = torch.nn.functional.grid_sample(probabilities[None, None], places[None], align_corners=False)[0, 0]
        mask = pasted(probabilities, box, (50, 70))
        clear = (sampled - 0.5).abs() > 1e-6
        assert np.array_equal(mask[clear.numpy()], (sampled > 0.5)[clear].numpy())
        assert mask.any()


@pytest.mark.parametrize("box", [(-20, -20, -5, -5), (200, 10, 260, 40), (30, 30, 30.02, 30.02)])
def test_boxes_beside_the_image_or_between_pixels_give_empty_masks(box):
    assert not pasted(np.full((28, 28), 0.9), box, (50, 60)).any()


def test_no_masks_are_no_masks():
    assert paste_masks(torch.zeros(0, 28, 28), torch.zeros(0, 4), (5, 5)) == []
    assert encode_masks(torch.zeros(0, 5, 5, dtype=torch.bool)) == []
    assert mask_iou([], encode_masks(torch.ones(2, 5, 5, dtype=torch.bool))).shape == (0, 2)


def test_intersection_over_union_is_that_of_sets():
    masks = torch.rand(3, 20, 20, generator=torch.Generator().manual_seed(1)) > 0.6
    others = torch.rand(2, 20, 20, generator=torch.Generator().manual_seed(2)) > 0.3
    sets = [[set(m.flatten().nonzero().flatten().tolist()) for m in group] for group in (masks, others)]
    expected = [[len(a & b) / len(a | b) for b in sets[1]] for a in sets[0]]
    assert mask_iou(encode_masks(masks), encode_masks(others)).tolist() == [pytest.approx(row) for row in expected]


def test_packed_masks_come_back_whatever_lies_behind_them():
    masks = encode_masks(torch.from_numpy(np.random.default_rng(0).random((5, 30, 40)) < 0.3))
    packed = pack_masks(masks)
    assert unpack_masks(torch.cat([packed, packed.new_zeros(17)]), (30, 40)) == masks
    assert unpack_masks(pack_masks([]), (30, 40)) == []
