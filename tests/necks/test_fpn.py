"""The feature pyramid: its levels, its arithmetic, and torchvision's."""

from collections import OrderedDict

import pytest
import torch
from torchvision.ops.feature_pyramid_network import FeaturePyramidNetwork, LastLevelMaxPool, LastLevelP6P7

from tests.helpers.settings import pyramid
from visionkit.backbones import create_backbone, list_backbones, read_backbone
from visionkit.necks.build import build_neck

CHANNELS = {"stem": 64, "layer1": 64, "layer2": 128, "layer3": 256, "layer4": 512}


def maps(sizes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(2, CHANNELS[name], *size, generator=generator)
        for name, size in zip(("layer2", "layer3", "layer4"), sizes, strict=True)
    }


@pytest.mark.parametrize("extra", ["level", "stage", "max_pool"])
def test_levels_equal_torchvisions_with_the_same_weights(extra):
    options = {"extra": "max_pool"} if extra == "max_pool" else {"extra_from": extra}
    spec = pyramid(out_channels=16, num_levels=4 if extra == "max_pool" else 5, **options)
    ours = build_neck(spec, read_backbone("resnet18"), image_size=(64, 64))
    blocks = LastLevelMaxPool() if extra == "max_pool" else LastLevelP6P7(16 if extra == "level" else 512, 16)
    theirs = FeaturePyramidNetwork([128, 256, 512], 16, extra_blocks=blocks)
    values = list(ours.state_dict().values())
    theirs.load_state_dict(dict(zip(theirs.state_dict(), values, strict=True)))
    x = maps([(13, 20), (7, 10), (4, 5)])
    for mine, other in zip(ours(x).values(), theirs(OrderedDict(x)).values(), strict=True):
        torch.testing.assert_close(mine, other)


@pytest.mark.parametrize("name", list_backbones())
def test_levels_begin_at_the_finest_stride_and_each_is_coarser(name):
    backbone = read_backbone(name)
    infos = list(pyramid(finest_stride=4, num_levels=6).feature_info(backbone).values())
    strides = [info.stride for info in infos]
    assert strides[0] >= 4
    assert len(infos) == 6
    assert strides == sorted(set(strides))
    assert len({info.channels for info in infos}) == 1
    last_of = {info.stride: info for info in backbone.feature_info.values()}
    assert all(info.offset == last_of[info.stride].offset for info in infos if info.stride in last_of)


def test_a_fine_backbone_gives_its_coarsest_stage_and_more_are_made():
    levels = pyramid().feature_info(read_backbone("lenet"))
    assert [(info.stride, info.offset) for info in levels.values()] == [
        (4, 7.5), (8, 7.5), (16, 7.5), (32, 7.5), (64, 7.5),
    ]  # fmt: skip


def test_stages_beyond_the_last_level_are_not_built():
    spec = pyramid(finest_stride=4, num_levels=2)
    assert [info.name for info in spec.stages(read_backbone("resnet18")).values()] == ["layer1", "layer2"]


@pytest.mark.parametrize("name", ["lenet", "resnet20", "resnet18", "inception_v3", "densenet_bc_100_12"])
@pytest.mark.parametrize("norm", ["none", "group"])
def test_declared_sizes_and_counts_are_the_modules(name, norm):
    backbone, size = read_backbone(name), (96, 128)
    spec = pyramid(out_channels=32, finest_stride=4, norm=norm)
    neck = build_neck(spec, backbone, image_size=size)
    records = spec.trace(backbone, image_size=size)
    features = create_backbone(name)(torch.zeros(1, backbone.in_channels, *size))
    shapes = {level: tuple(x.shape[1:]) for level, x in neck(features).items()}
    assert shapes == {level: signal.chw for level, signal in spec.levels(records).items()}
    assert list(shapes) == list(neck.feature_info)
    assert sum(record.parameters for record in records) == sum(p.numel() for p in neck.parameters())


def test_a_level_sees_as_far_as_the_coarsest_stage():
    backbone = read_backbone("resnet18")
    spec = pyramid()
    levels = spec.levels(spec.trace(backbone, image_size=(256, 256)))
    last = backbone.feature_shapes(256)["layer4"].height.receptive_field
    assert levels["stride8"].height.receptive_field == last + 2 * 8
    assert levels["stride8"].height.jump == 8


def test_what_does_not_go_together_is_refused():
    from visionkit import UserError
    from visionkit.heads import read_head

    with pytest.raises(UserError, match="extra 'max_pool' keeps the channels, so it goes with extra_from 'level'"):
        read_head({"type": "fcos", "neck": {"extra": "max_pool", "extra_from": "stage"}}, task="detect")
    with pytest.raises(UserError, match=r"head.neck: unknown key 'out_chanels'. Did you mean 'out_channels'\?"):
        read_head({"type": "fcos", "neck": {"out_chanels": 3}}, task="detect")
