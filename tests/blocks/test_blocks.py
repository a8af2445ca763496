"""Every block: its arithmetic against the module it builds, and its schema against what a user may type."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from visionkit.blocks import (
    BLOCKS,
    Activation,
    AvgPool,
    Bottleneck,
    Composite,
    Concat,
    Conv,
    FeatureShape,
    Gate,
    Identity,
    LayerError,
    Primitive,
    Residual,
    Sequential,
    build,
    expand,
    parse_block,
    primitives,
    replace_stride_with_dilation,
    trace,
)
from visionkit.blocks.pooling import AdaptivePool
from visionkit.errors import UserError

DEFAULTS = {"norm": "batch", "activation": "relu", "init": "kaiming_normal"}

BLOCK_CASES = [
    {"type": "conv", "out_channels": 8, "kernel_size": 3},
    {"type": "conv", "out_channels": 8, "kernel_size": [3, 5], "stride": [2, 1], "padding": [1, 2], "dilation": 2},
    {"type": "conv", "out_channels": 8, "kernel_size": 5, "padding": "same", "stride": 2, "groups": 2},
    {"type": "conv", "out_channels": 8, "kernel_size": 3, "padding": "valid", "bias": True, "norm": "none"},
    {"type": "conv", "out_channels": 8, "kernel_size": 1, "repeat": 3, "stride": 2},
    *({"type": "conv", "out_channels": 8, "kernel_size": 3, "order": order} for order in
      ("conv_norm_act", "conv_act_norm", "norm_act_conv", "act_conv_norm", "act_norm_conv")),
    *({"type": "conv", "out_channels": 8, "kernel_size": 3, "norm": norm} for norm in
      ("group", "layer", "instance", "local_response", {"type": "batch", "eps": 0.001})),
    *({"type": "conv", "out_channels": 8, "kernel_size": 3, "activation": act} for act in
      ("relu6", "tanh", "sigmoid", "gelu", "silu", "hardswish", {"type": "leaky_relu", "negative_slope": 0.2}, "none")),
    {"type": "max_pool", "kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True},
    {"type": "avg_pool", "kernel_size": 2},
    {"type": "adaptive_pool", "size": 3, "kind": "max"},
    {"type": "adaptive_pool", "size": [1, 2]},
    {"type": "dropout", "p": 0.1, "channels": True},
    {"type": "local_response_norm", "size": 5, "alpha": 0.0005, "k": 2.0},
    {"type": "norm_act"},
    {"type": "activation", "name": "gelu"},
    {"type": "basic", "out_channels": 6},
    {"type": "basic", "out_channels": 12, "stride": 2, "repeat": 2},
    {"type": "basic", "out_channels": 12, "stride": 2, "shortcut": "zero_pad"},
    {"type": "basic", "out_channels": 12, "stride": 2, "residual": False, "norm": "none"},
    {"type": "bottleneck", "out_channels": 64, "stride": 2, "groups": 4, "base_width": 8},
    {"type": "dense", "num_layers": 3, "growth_rate": 4},
    {"type": "dense", "num_layers": 2, "growth_rate": 4, "bottleneck_width": 0, "dropout": 0.1},
    {"type": "transition", "compression": 0.5},
    {"type": "basic", "out_channels": 12, "stride": 2, "se": {"ratio": 0.5}},
    {"type": "bottleneck", "out_channels": 8, "se": {"squeeze_channels": 3, "gate": "hardsigmoid"}},
    {"type": "x_block", "out_channels": 12, "group_width": 4, "stride": 2, "se": {"ratio_of": "block"}, "repeat": 2},
    {"type": "x_block", "out_channels": 6, "group_width": 8},
    {"type": "squeeze_excitation", "ratio": 0.5, "divisor": 2},
    {"type": "inverted_residual", "out_channels": 6, "expansion": 4, "kernel_size": 5, "activation": "hardswish"},
    {"type": "inverted_residual", "out_channels": 8, "expansion": 1, "stride": 2, "repeat": 2, "se": {}},
    {"type": "inverted_residual", "out_channels": 6, "expanded_channels": 10, "residual": False},
    {"type": "inverted_residual", "out_channels": 6, "expansion": 2, "fused": True, "se": {"ratio_of": "block"}},
    {"type": "inverted_residual", "out_channels": 6, "expansion": 1, "fused": True, "activation": "silu"},
    {"type": "inception", "branches": {
        "narrow": {"conv": {"type": "conv", "out_channels": 3, "kernel_size": 1}},
        "forked": {"conv": {"type": "conv", "out_channels": 4, "kernel_size": 3, "padding": 1},
                   "fork": {"type": "inception", "branches": {
                       "a": {"conv": {"type": "conv", "out_channels": 2, "kernel_size": [1, 3], "padding": [0, 1]}},
                       "b": {"pool": {"type": "max_pool", "kernel_size": 3, "stride": 1, "padding": 1}}}}}}},
    {"type": "fire", "squeeze_channels": 2, "expand1x1_channels": 3, "expand3x3_channels": 5},
    {"type": "shuffle_unit", "out_channels": 6},
    {"type": "shuffle_unit", "out_channels": 10, "stride": 2, "repeat": 2},
    {"type": "channel_shuffle", "groups": 3},
    {"type": "convnext", "norm": "layer", "activation": "gelu", "layer_scale": 0.5, "repeat": 2},
    {"type": "convnext", "kernel_size": 3, "layer_scale": 0},
    {"type": "layer_scale"},
]  # fmt: skip


@pytest.mark.parametrize("values", BLOCK_CASES, ids=lambda v: "-".join(str(x) for x in v.values())[:60])
@pytest.mark.parametrize("size", [(16, 19), (23, 16)])
def test_declared_shape_and_parameters_equal_the_executed_ones(values, size):
    image = FeatureShape.image(6, size)
    tree, declared = expand(parse_block(values, where="test", defaults=DEFAULTS), image)
    module, built = build(tree, image)
    record = trace(tree, image)
    output = module.eval()(torch.zeros(2, 6, *size))
    assert tuple(output.shape[1:]) == declared.chw == built.chw == record.after.chw
    assert sum(p.numel() for p in module.parameters()) == record.parameters


@pytest.mark.parametrize("values", BLOCK_CASES, ids=lambda v: "-".join(str(x) for x in v.values())[:60])
def test_training_leaves_the_input_untouched_and_reaches_every_parameter(values):
    torch.manual_seed(0)
    tree, _ = expand(parse_block(values, where="test", defaults=DEFAULTS), FeatureShape.image(6, 16))
    module, _ = build(tree, FeatureShape.image(6, 16))
    x = torch.randn(4, 6, 16, 16, requires_grad=True)
    kept = x.detach().clone()
    module(x).square().mean().backward()
    assert torch.equal(x, kept)
    assert all(p.grad is not None for p in module.parameters())


@pytest.mark.parametrize("values", BLOCK_CASES, ids=lambda v: "-".join(str(x) for x in v.values())[:60])
def test_multiplications_are_those_that_torch_counts(values):
    image = FeatureShape.image(6, (16, 19))
    tree, _ = expand(parse_block(values, where="test", defaults=DEFAULTS), image)
    module, _ = build(tree, image)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module.eval()(torch.zeros(1, 6, 16, 19))
    assert trace(tree, image).macs == counter.get_total_flops() / 2


def test_every_registered_block_is_tested():
    assert {str(values["type"]) for values in BLOCK_CASES} == set(BLOCKS.names())


def test_receptive_field_equals_the_footprint_of_a_gradient():
    blocks = [
        {"type": "conv", "out_channels": 2, "kernel_size": 5, "stride": 2, "padding": 1},
        {"type": "max_pool", "kernel_size": 3, "stride": 2},
        {"type": "conv", "out_channels": 2, "kernel_size": [3, 1], "dilation": 2},
    ]
    tree, signal = expand(
        Sequential({f"l{i}": parse_block(b, where="t", defaults={}) for i, b in enumerate(blocks)}),
        FeatureShape.image(1, 65),
    )
    module, _ = build(tree, FeatureShape.image(1, 65))
    for parameter in module.parameters():
        nn.init.uniform_(parameter, 0.5, 1.0)
    x = torch.rand(1, 1, 65, 65, requires_grad=True)
    cell = 4
    module = nn.Sequential(*[nn.AvgPool2d(3, 2) if isinstance(m, nn.MaxPool2d) else m for m in module])
    module(x)[0, 0, cell, cell].backward()
    rows = x.grad[0, 0].abs().sum(1).nonzero().flatten()
    axis = signal.height
    assert int(rows.max() - rows.min()) + 1 == axis.receptive_field
    assert float(rows.max() + rows.min()) / 2 == axis.offset + cell * axis.jump


def test_norm_follows_conv_without_a_bias_of_its_own():
    with_norm, _ = expand(Conv(out_channels=4, kernel_size=3, norm=_norm("batch")), FeatureShape.image(3, 8))
    without, _ = expand(Conv(out_channels=4, kernel_size=3), FeatureShape.image(3, 8))
    local, _ = expand(Conv(out_channels=4, kernel_size=3, norm=_norm("local_response")), FeatureShape.image(3, 8))
    assert [next(primitives(tree)).bias for tree in (with_norm, without, local)] == [False, True, True]


def test_repeat_gives_the_stride_to_the_first_block_alone():
    block = parse_block({"type": "basic", "out_channels": 8, "stride": 2, "repeat": 3}, where="t", defaults=DEFAULTS)
    _, signal = expand(block, FeatureShape.image(8, 32))
    assert signal.chw == (8, 16, 16)


@pytest.mark.parametrize(("groups", "base_width", "width"), [(1, 64, 64), (32, 4, 128), (1, 128, 128), (32, 8, 256)])
def test_bottleneck_width_is_that_of_resnext_and_wide_resnet(groups, base_width, width):
    tree, _ = expand(Bottleneck(out_channels=256, groups=groups, base_width=base_width), FeatureShape.image(64, 56))
    assert next(primitives(tree)).out_channels == width


def test_kaiming_normal_fills_weights_with_the_variance_of_he_et_al():
    torch.manual_seed(0)
    block = parse_block(
        {"type": "conv", "out_channels": 256, "kernel_size": 3, "init": "kaiming_normal"}, where="t", defaults={}
    )
    module, _ = build(*[expand(block, FeatureShape.image(64, 8))[0], FeatureShape.image(64, 8)])
    weight = module.conv.weight
    assert weight.std().item() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.02)
    assert module.conv.bias.abs().max() == 0


def test_init_of_one_layer_wins_over_the_default_of_the_net():
    block = parse_block(
        {"type": "conv", "out_channels": 4, "kernel_size": 3, "init": "zeros"}, where="t", defaults=DEFAULTS
    )
    module, _ = build(expand(block, FeatureShape.image(3, 8))[0], FeatureShape.image(3, 8))
    assert module.conv.weight.abs().max() == 0


def test_branches_of_different_shape_are_refused_with_their_sizes():
    tree = Residual(Conv(out_channels=4, kernel_size=3), Identity())
    with pytest.raises(LayerError, match="cannot be joined: their maps differ by 2 rows and 2 columns"):
        expand(tree, FeatureShape.image(3, 8))


def test_concat_adds_channels_and_gate_keeps_the_shape():
    concat = Concat({"a": Conv(out_channels=4, kernel_size=1), "b": Identity()})
    gate = Gate(Sequential({"squeeze": AdaptivePool(size=1), "excite": Conv(out_channels=3, kernel_size=1)}))
    for tree, shape in ((concat, (7, 8, 8)), (gate, (3, 8, 8))):
        opened, signal = expand(tree, FeatureShape.image(3, 8))
        module, _ = build(opened, FeatureShape.image(3, 8))
        assert signal.chw == shape == tuple(module(torch.zeros(1, 3, 8, 8)).shape[1:])


def test_held_stride_dilates_what_follows_and_removes_pools():
    tree, _ = expand(
        Sequential({
            "a": Conv(out_channels=2, kernel_size=3, stride=2, padding=1),
            "b": Conv(out_channels=2, kernel_size=3, stride=2, padding=1),
            "pool": AvgPool(kernel_size=2),
            "c": Conv(out_channels=2, kernel_size=3, padding=1),
        }),
        FeatureShape.image(1, 64),
    )  # fmt: skip
    held, stride, dilation = replace_stride_with_dilation(tree, 2)
    layers = list(primitives(held))
    assert (stride, dilation) == (2, 4)
    assert [getattr(layer, "dilation", None) for layer in layers] == [(1, 1), (1, 1), None, (4, 4)]
    assert isinstance(layers[2], Identity)
    assert trace(held, FeatureShape.image(1, 64)).after.chw == (2, 32, 32)


CONV = {"type": "conv", "out_channels": 4, "kernel_size": 3}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"type": "cnv"}, "no block is called 'cnv'. Did you mean 'conv'?"),
        ({"type": "conv", "kernel_size": 3}, "out_channels: this key is required"),
        ({"type": "conv", "out_channels": 4, "kernel": 3}, "unknown key 'kernel'. Did you mean 'kernel_size'?"),
        ({**CONV, "out_channels": "4"}, 'out_channels: expected a whole number, found "4"'),
        ({**CONV, "out_channels": True}, "out_channels: expected a whole number, found true"),
        ({**CONV, "kernel_size": 0}, "kernel_size: expected a number of cells up to 1,000 or [height, width]"),
        (
            {**CONV, "kernel_size": -3},
            "1,000 or [height, width], found -3. Try 3 or [3,3]",
        ),
        ({**CONV, "norm": "bach"}, "no norm is called 'bach'. Did you mean 'batch'?"),
        ({**CONV, "norm": {"type": "batch", "esp": 1}}, "unknown key 'esp'. Did you mean 'eps'?"),
        ({**CONV, "activation": "rleu"}, "no activation is called 'rleu'. Did you mean 'relu'?"),
        ({**CONV, "init": {"type": "xavier_normal", "std": 1}}, "init 'xavier_normal' takes no 'std'"),
        ({"type": "basic", "out_channels": 4, "repeat": 0}, "repeat: expected a whole number from 1"),
        ({"type": "dropout", "p": 1.5}, "p: expected a number of at least 0 and less than 1, found 1.5"),
        ("conv", "out_channels: this key is required"),
        (3, "expected a mapping whose 'type' is one of"),
    ],
)
def test_what_is_no_block_is_refused_by_name_and_place(values, message):
    with pytest.raises(UserError) as error:
        parse_block(values, where="net: stages.c1.conv", defaults={})
    assert str(error.value).startswith("net: stages.c1.conv")
    assert message in str(error.value)


def test_same_padding_needs_an_odd_kernel():
    with pytest.raises(ValueError, match="odd kernel"):
        expand(Conv(out_channels=4, kernel_size=2, padding="same"), FeatureShape.image(3, 8))


def test_groups_that_do_not_divide_are_refused():
    with pytest.raises(LayerError, match="groups=2 does not divide the 3 channels"):
        expand(Conv(out_channels=4, kernel_size=3, groups=2), FeatureShape.image(3, 8))


def test_a_composite_says_only_what_it_is_made_of():
    class Twice(Composite):
        def parts(self, in_channels):
            return Sequential({"a": Conv(out_channels=in_channels * 2, kernel_size=1), "b": Identity()})

    tree, signal = expand(Twice(), FeatureShape.image(3, 8))
    assert (signal.chw, tree.made_by) == ((6, 8, 8), "Twice")


def _norm(name):
    return parse_block({"type": "norm_act", "norm": name}, where="t", defaults={}).norm


def test_an_activation_never_writes_over_what_somebody_else_may_hold():
    """A primitive of somebody else's may return its input as it is; the residual's other path needs it untouched."""

    class Through(Primitive):
        def build(self, signal):
            return nn.Identity()

    body = Sequential({"through": Through(), "act": Activation("relu")})
    tree, _ = expand(Residual(body, Identity()), FeatureShape.image(1, 2))
    module, _ = build(tree, FeatureShape.image(1, 2))
    x = -torch.ones(1, 1, 2, 2)
    assert torch.equal(module(x), -torch.ones(1, 1, 2, 2))
    assert torch.equal(x, -torch.ones(1, 1, 2, 2))
