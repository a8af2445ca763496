"""Features of boxes: where their cells lie, and which level they come from."""

import pytest
import torch

from visionkit.backbones import FeatureInfo
from visionkit.heads.two_stage.pooling import RoiPooling


@pytest.mark.parametrize(("stride", "offset"), [(4, 1.5), (4, 6.5), (6, 0.0)])
def test_pooling_finds_the_pixel_at_which_a_cell_stands(stride, offset):
    # Each cell holds the x and y of its own centre, so the mean over a box is the box's centre.
    index = torch.arange(40) * stride + offset + 0.5
    ramp = torch.stack([index.expand(40, -1), index[:, None].expand(-1, 40)])[None]
    box = torch.tensor([[50.0, 60.0, 90.0, 84.0]])
    pooling = RoiPooling([FeatureInfo("level", 2, stride, offset)], corner=False, size=7)
    torch.testing.assert_close(pooling([ramp], box, torch.tensor([0])).mean(dim=(0, 2, 3)), torch.tensor([70.0, 72.0]))


def test_larger_boxes_are_pooled_from_coarser_levels():
    # Lin et al. 2017, equation 1 with k0 = 4: 224 pixels at stride 16, 112 at 8, half of that at 4
    levels = [FeatureInfo(str(stride), 1, stride, 0.0) for stride in (4, 8, 16, 32)]
    maps = [torch.full((1, 1, 1024 // level.stride, 1024 // level.stride), level.stride + 0.0) for level in levels]
    sides = [20, 111, 112, 223, 224, 447, 448, 900]
    boxes = torch.tensor([[10.0, 10.0, 10.0 + side, 10.0 + side] for side in sides])
    pooled = RoiPooling(levels, corner=False, size=7)(maps, boxes, torch.zeros(8, dtype=torch.int64))
    assert pooled.mean(dim=(1, 2, 3)).tolist() == [4, 4, 8, 8, 16, 16, 32, 32]
