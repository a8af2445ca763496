"""The blocks of the CNN family against their papers, torchvision's own blocks, and wrong input."""

import pytest
import torch
import torchvision
from torch import nn

from visionkit.blocks import (
    Conv,
    FeatureShape,
    Gate,
    Identity,
    InvertedResidual,
    LayerError,
    Residual,
    Sequential,
    SqueezeExcitation,
    apply_stochastic_depth,
    build,
    count_residual_blocks,
    expand,
    parse_block,
    primitives,
    replace_stride_with_dilation,
    trace,
)
from visionkit.blocks.squeeze_excitation import round_channels
from visionkit.errors import UserError
from visionkit.layers import Residual as ResidualLayer


def _built(values, channels=8, size=8, defaults=None):
    tree, _ = expand(parse_block(values, where="t", defaults=defaults or {}), FeatureShape.image(channels, size))
    return build(tree, FeatureShape.image(channels, size))[0]


@pytest.mark.parametrize(
    ("channels", "rounded"), [(32 * 0.5, 16), (16 * 0.75, 16), (24 * 1.3, 32), (40 * 1.3, 56), (72 / 4, 24), (3, 8)]
)
def test_channels_are_rounded_as_torchvision_rounds_them(channels, rounded):
    from torchvision.models._utils import _make_divisible

    assert round_channels(channels) == rounded == _make_divisible(channels, 8)


def test_squeeze_excitation_equals_torchvisions():
    torch.manual_seed(0)
    ours = _built({"type": "squeeze_excitation", "squeeze_channels": 3, "gate": "hardsigmoid"})
    theirs = torchvision.ops.SqueezeExcitation(8, 3, scale_activation=nn.Hardsigmoid)
    theirs.load_state_dict({key.replace("body.", "").replace("conv.", ""): v for key, v in ours.state_dict().items()})
    x = torch.randn(2, 8, 5, 5)
    torch.testing.assert_close(ours(x), theirs(x))


@pytest.mark.parametrize(("ratio_of", "inner"), [("block", 2), ("layer", 12)])
def test_squeeze_channels_are_counted_from_the_block_or_the_layer(ratio_of, inner):
    block = InvertedResidual(out_channels=8, expansion=6, se=SqueezeExcitation(ratio=0.25, ratio_of=ratio_of))
    tree, _ = expand(block, FeatureShape.image(8, 8))
    assert tree.children["residual"].body.children["se"].body.children["fc1"].children["conv"].out_channels == inner


def test_channel_shuffle_deals_channels_out_in_turn():
    module = _built({"type": "channel_shuffle", "groups": 2}, channels=6)
    x = torch.arange(6.0).view(1, 6, 1, 1)
    assert module(x).flatten().tolist() == [0, 3, 1, 4, 2, 5]


def test_a_shuffle_unit_passes_the_first_half_of_its_channels_untouched():
    module = _built({"type": "shuffle_unit", "out_channels": 8}, defaults={"norm": "batch", "activation": "relu"})
    x = torch.randn(2, 8, 8, 8)
    assert torch.equal(module(x)[:, ::2], x[:, :4])


def test_the_weight_of_a_pointwise_layer_is_a_1x1_convolution():
    from visionkit.layers import Pointwise

    layer, x = Pointwise(4, 6), torch.randn(2, 4, 5, 7)
    conv = nn.functional.conv2d(x, layer.weight[:, :, None, None], layer.bias)
    torch.testing.assert_close(layer(x), conv)


def test_inception_stacks_its_branches_in_their_order():
    one = {"conv": {"type": "conv", "out_channels": 1, "kernel_size": 1, "init": "ones"}}
    module = _built(
        {"type": "inception", "branches": {"a": one, "b": {"pool": {"type": "max_pool", "kernel_size": 1}}}}
    )
    x = torch.randn(2, 8, 4, 4)
    torch.testing.assert_close(module(x), torch.cat([x.sum(1, keepdim=True), x], dim=1))


@pytest.mark.parametrize("branch", ["a", "norm", "activation"])
def test_layer_defaults_reach_the_layers_of_every_branch(branch):
    module = _built(
        {"type": "inception", "branches": {branch: {"conv": {"type": "conv", "out_channels": 4, "kernel_size": 1}}}},
        defaults={"norm": "group", "activation": "silu"},
    )
    assert [type(layer) for layer in getattr(module, branch).conv] == [nn.Conv2d, nn.GroupNorm, nn.SiLU]


@pytest.mark.parametrize(
    ("own", "expected"), [({}, nn.SiLU), ({"activation": "gelu"}, nn.GELU), ({"se": {"activation": "tanh"}}, nn.Tanh)]
)
def test_a_gate_inside_a_block_takes_what_the_block_says(own, expected):
    values = {"type": "inverted_residual", "out_channels": 8, "se": {}, **own}
    module = _built(values, defaults={"activation": "silu", "init": "zeros"})
    first = module.residual.body.se.body.fc1
    assert type(first.act) is expected
    assert first.conv.weight.abs().max() == 0


def test_a_fused_block_that_widens_nothing_keeps_its_gate():
    module = _built({"type": "inverted_residual", "out_channels": 8, "expansion": 1, "fused": True, "se": {}})
    assert list(dict(module.residual.body.named_children())) == ["conv", "se"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (Conv(out_channels=8, kernel_size=3, stride=2), "its gate gives 8x3x3, which cannot weigh 8x8x8"),
        (Conv(out_channels=3, kernel_size=1), "its gate gives 3x8x8, which cannot weigh 8x8x8"),
    ],
)
def test_a_gate_that_does_not_broadcast_is_refused_with_its_sizes(body, message):
    with pytest.raises(LayerError, match=message):
        expand(Gate(body), FeatureShape.image(8, 8))


def test_a_part_with_a_name_of_torchs_is_refused():
    with pytest.raises(LayerError, match="a part cannot be called 'half'"):
        expand(Sequential({"half": Identity()}), FeatureShape.image(8, 8))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"type": "inception", "branches": {}}, "branches: expected a mapping of branch names to layers"),
        ({"type": "inception", "branches": {"a": 3}}, "branches.a: expected a mapping of layer names to blocks"),
        (
            {"type": "inception", "branches": {"a": {"c": {"type": "cnv"}}}},
            "branches.a.c: no block is called 'cnv'. Did you mean 'conv'?",
        ),
        (
            {"type": "inception", "branches": {"a": {"c": {"type": "conv", "kernel": 3}}}},
            "branches.a.c: unknown key 'kernel'. Did you mean 'kernel_size'?",
        ),
        ({"type": "inception"}, "branches: this key is required"),
        (
            {"type": "inception", "branches": {"half": {"c": {"type": "norm_act"}}}},
            "'half' is a word torch uses itself",
        ),
        ({"type": "inception", "branches": {"a": {"C 1": {"type": "norm_act"}}}}, "'C 1' is no valid name"),
        ({"type": "layer_scale", "init_value": -5}, "init_value: expected a number greater than 0"),
        (
            {"type": "inverted_residual", "out_channels": 8, "expansion": 0.5},
            "expansion: expected a number from 1 to 64",
        ),
        ({"type": "basic", "out_channels": 8, "se": {"rato": 1}}, "se: unknown key 'rato'. Did you mean 'ratio'?"),
        ({"type": "convnext", "layer_scale": -1}, "layer_scale: expected a number from 0 to 1"),
    ],
)
def test_what_is_no_block_is_refused_by_name_and_place(values, message):
    with pytest.raises(UserError) as error:
        parse_block(values, where="net: stages.s.b", defaults={})
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"type": "shuffle_unit", "out_channels": 10}, "keeps its 8 channels, but out_channels is 10"),
        ({"type": "shuffle_unit", "out_channels": 7, "stride": 2}, "out_channels must be even, found 7"),
        ({"type": "channel_shuffle", "groups": 3}, "groups=3 does not divide the 8 channels"),
        ({"type": "x_block", "out_channels": 12, "group_width": 5}, "group_width 5 does not divide out_channels 12"),
        ({"type": "convnext", "kernel_size": 4}, "choose an odd one"),
    ],
)
def test_channels_and_kernels_that_do_not_fit_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        _built(values)


def test_a_held_back_patch_convolution_keeps_the_size_of_its_map():
    """ConvNeXt's 2x2 convolutions of stride 2 (Liu et al. 2022), with the stride taken away and then dilated."""
    down = Conv(out_channels=4, kernel_size=2, stride=2)
    tree, _ = expand(Sequential({"a": down, "b": down, "c": down}), FeatureShape.image(4, 32))
    held, stride, dilation = replace_stride_with_dilation(tree, 2)
    assert (stride, dilation) == (2, 4)
    record = trace(held, FeatureShape.image(4, 32))
    assert [child.after.chw for child in record.children] == [(4, 16, 16)] * 3
    module, _ = build(held, FeatureShape.image(4, 32))
    assert tuple(module(torch.zeros(1, 4, 32, 32)).shape) == (1, 4, 16, 16)


def test_the_footprint_of_a_held_back_patch_convolution_is_the_declared_one():
    tree, _ = expand(Conv(out_channels=1, kernel_size=2, stride=2, bias=False), FeatureShape.image(1, 8))
    held, _, _ = replace_stride_with_dilation(tree, 1)
    module, signal = build(held, FeatureShape.image(1, 8))
    nn.init.ones_(module.conv.weight)
    x = torch.zeros(1, 1, 8, 8, requires_grad=True)
    module(x)[0, 0, 3, 3].backward()
    rows = x.grad[0, 0].sum(1).nonzero().flatten()
    assert (rows.min() + rows.max()).item() / 2 == signal.height.offset + 3 * signal.height.jump
    assert len(rows) == signal.height.receptive_field == 2


def _two_residuals():
    conv = Conv(out_channels=2, kernel_size=1)
    return expand(
        Sequential({"a": Residual(conv, Identity()), "b": Residual(conv, Identity())}), FeatureShape.image(2, 4)
    )[0]


def test_stochastic_depth_is_given_in_the_order_of_execution():
    tree = _two_residuals()
    assert count_residual_blocks(tree) == 2
    dropped = apply_stochastic_depth(tree, iter([0.1, 0.2]))
    assert [child.drop_probability for child in dropped.children.values()] == [0.1, 0.2]
    assert len(list(primitives(dropped))) == len(list(primitives(tree)))


def test_stochastic_depth_drops_whole_images_and_keeps_the_mean():
    torch.manual_seed(0)
    layer = ResidualLayer(nn.Identity(), nn.Identity(), drop_probability=0.25)
    x = torch.ones(4000, 1, 2, 2)
    new = layer.train()(x) - x
    assert sorted(new.flatten(1).unique().tolist()) == pytest.approx([0, 1 / 0.75])
    assert new.flatten(1).std(dim=1).max() == 0
    assert new.mean().item() == pytest.approx(1, abs=0.037)  # 4 standard deviations: 4 sqrt(1/3 / 4000) = 0.037
    assert torch.equal(layer.eval()(x), 2 * x)
