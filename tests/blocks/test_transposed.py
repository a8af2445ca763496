"""The convolution that enlarges: its arithmetic against the layer it builds."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from visionkit.blocks import Axis, ConvTranspose2d, FeatureShape, Init, trace


@pytest.mark.parametrize(("factor", "bias"), [(2, True), (3, False)])
def test_sizes_and_counts_are_those_of_the_layer(factor, bias):
    part = ConvTranspose2d(out_channels=5, factor=factor, bias=bias)
    before = FeatureShape.image(4, (6, 7))
    layer = part.build(before)
    record = trace(part, before)
    with FlopCounterMode(display=False) as counter:
        after = layer(torch.zeros(1, 4, 6, 7))
    assert record.after.chw == tuple(after.shape[1:])
    assert record.parameters == sum(p.numel() for p in layer.parameters())
    assert 2 * record.macs == counter.get_total_flops()
    assert record.connections == record.neurons * (4 + bias)


def test_the_cells_of_a_square_lie_around_the_old_cell():
    axis = Axis(size=8, jump=8, receptive_field=21, offset=3.5)
    after = ConvTranspose2d(out_channels=1, factor=2).output(FeatureShape(1, axis, axis)).height
    assert after == Axis(size=16, jump=4, receptive_field=21, offset=1.5)  # 1.5 and 5.5 around 3.5


def test_cells_smaller_than_a_pixel_have_no_place():
    after = ConvTranspose2d(out_channels=1, factor=2).output(FeatureShape.image(1, 8)).height
    assert after == Axis(size=16, jump=None, receptive_field=1, offset=None)


def test_every_cell_is_seen_by_its_own_square_alone():
    layer = ConvTranspose2d(out_channels=1, factor=2, init=Init("ones")).build(FeatureShape.image(1, 3))
    image = torch.zeros(1, 1, 3, 3)
    image[0, 0, 1, 2] = 1
    seen = layer(image)[0, 0].nonzero().tolist()
    assert seen == [[2, 4], [2, 5], [3, 4], [3, 5]]
