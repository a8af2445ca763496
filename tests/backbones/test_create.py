"""`create_backbone`: names, files, mappings, overrides, freezing, and weights from files."""

import pytest
import torch
from torch import nn

from visionkit import UserError
from visionkit.backbones import create_backbone, list_backbones, read_backbone
from visionkit.models import create_model
from visionkit.names import RESERVED_NAMES

CONV = {"type": "conv", "out_channels": 4, "kernel_size": 3}
TINY = {
    "name": "tiny",
    "layer_defaults": {"activation": "relu", "norm": "batch"},
    "stages": {
        "a": {"conv": {"type": "conv", "out_channels": 4, "kernel_size": 3, "padding": 1}},
        "b": {"blocks": {"type": "basic", "out_channels": 8, "stride": 2, "repeat": 2}},
    },
}


def test_list_backbones_takes_a_shell_pattern():
    assert list_backbones("resnet[25]0") == ["resnet20", "resnet50"]
    assert {"lenet", "alexnet", "plain56", "densenet121"} <= set(list_backbones())


def test_a_mapping_and_a_file_make_the_same_backbone(tmp_path):
    import yaml

    file = tmp_path / "tiny.yaml"
    file.write_text(yaml.safe_dump(TINY, sort_keys=False))
    assert [*create_backbone(file).state_dict()] == [*create_backbone(TINY).state_dict()]


def test_stage_and_layer_names_are_the_state_dict_keys():
    keys = create_backbone(TINY).state_dict()
    assert "a.conv.conv.weight" in keys
    assert "b.blocks.1.residual.body.conv2.norm.running_mean" in keys


def test_feature_info_is_known_without_a_forward_pass():
    info = create_backbone(TINY).feature_info
    assert [(f.name, f.channels, f.stride, f.offset) for f in info.values()] == [("a", 4, 1, 0.0), ("b", 8, 2, 0.0)]


def test_an_unpadded_net_is_not_aligned_at_half_its_stride():
    info = create_backbone("lenet").feature_info
    assert [(f.stride, f.offset) for f in info.values()] == [(2, 2.5), (4, 7.5)]


def test_out_features_leaves_later_stages_unbuilt():
    backbone = create_backbone("resnet18", out_features=["layer1", "layer2"])
    assert list(backbone.feature_info) == ["layer1", "layer2"]
    assert not hasattr(backbone, "layer3")
    assert list(backbone(torch.zeros(1, 3, 32, 32))) == ["layer1", "layer2"]


def test_out_features_that_are_no_stage_are_refused_with_the_nearest():
    with pytest.raises(UserError, match=r"no stage 'layer5'. Did you mean 'layer"):
        create_backbone("resnet18", out_features=["layer5"])


def test_dotted_overrides_reach_one_key_even_one_the_file_does_not_write():
    backbone = create_backbone("resnet18", **{"stages.layer3.blocks.repeat": 5, "stages.layer1.blocks.norm": "group"})
    assert len(backbone.layer3.blocks) == 5
    assert isinstance(backbone.layer1.blocks[0].residual.body.conv1.norm, nn.GroupNorm)
    assert isinstance(backbone.layer2.blocks[0].residual.body.conv1.norm, nn.BatchNorm2d)


def test_none_takes_a_layer_away():
    assert create_backbone("resnet18", **{"stages.layer1.pool": None}).feature_info["layer1"].stride == 2


def test_norm_activation_and_init_can_be_set_for_the_whole_net():
    backbone = create_backbone("resnet20", layer_defaults={"norm": "none", "activation": "gelu", "init": "orthogonal"})
    kinds = {type(module) for module in backbone.modules()}
    assert nn.GELU in kinds
    assert nn.BatchNorm2d not in kinds
    weight = backbone.stem.conv.conv.weight.flatten(1)
    torch.testing.assert_close(weight @ weight.T, torch.eye(16), atol=1e-5, rtol=0)


def test_initialisation_follows_the_seed():
    weights = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        weights.append(create_backbone("lenet").c1.conv.conv.weight)
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_frozen_stages_keep_weights_and_norm_statistics_through_any_later_train():
    backbone = create_backbone(TINY)
    backbone.freeze(1)
    backbone.train()
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in backbone.parameters() if p.requires_grad], lr=0.1)
    backbone.forward_features(torch.randn(4, 3, 16, 16)).square().mean().backward()
    optimizer.step()
    after = backbone.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before if key.startswith("a."))
    assert not torch.equal(before["b.blocks.0.residual.body.conv1.norm.running_mean"],
                           after["b.blocks.0.residual.body.conv1.norm.running_mean"])  # fmt: skip
    backbone.freeze(0)
    assert all(p.requires_grad for p in backbone.parameters())
    assert backbone.a.training


def test_weights_of_a_whole_model_start_a_backbone(tmp_path):
    model = create_model("classify", "lenet", num_classes=10)
    torch.save(model.state_dict(), tmp_path / "model.pth")
    backbone = create_backbone("lenet", weights=str(tmp_path / "model.pth"))
    assert torch.equal(backbone.c3.conv.conv.weight, model.backbone.c3.conv.conv.weight)


def test_weights_that_do_not_fit_are_named_with_their_shapes(tmp_path):
    torch.save(create_backbone("lenet", **{"stages.c1.conv.kernel_size": 3}).state_dict(), tmp_path / "w.pth")
    with pytest.raises(
        UserError, match=r"c1.conv.conv.weight: \(6, 1, 3, 3\) in the file, \(6, 1, 5, 5\) in the network"
    ):
        create_backbone("lenet", weights=str(tmp_path / "w.pth"))


def test_a_weights_file_with_code_in_it_is_refused(tmp_path):
    torch.save({"state_dict": {"a": print}}, tmp_path / "w.pth")
    with pytest.raises(UserError, match="holds more than tensors"):
        create_backbone("lenet", weights=str(tmp_path / "w.pth"))


def test_missing_weights_are_named():
    with pytest.raises(UserError, match=r"file 'nowhere.pth' does not exist"):
        create_backbone("lenet", weights="nowhere.pth")


def test_reserved_names_are_those_that_torch_modules_use():
    from visionkit.backbones import Backbone

    backbone = create_backbone(TINY, out_features=["a"])
    used = {name for name in (*dir(backbone), *dir(nn.Sequential())) if name[0].islower()} - set("ab")
    assert used <= RESERVED_NAMES
    assert isinstance(backbone, Backbone)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stages": {}}, "stages: expected at least one stage, found none"),
        ({"stages": {"a": {}}}, "stages.a: expected a mapping of layer names to blocks"),
        ({"stages": {"A": {"conv": {"type": "conv"}}}}, "'A' is no valid name"),
        ({"stages": {"train": {"conv": {"type": "conv"}}}}, "'train' is a word torch uses itself"),
        ({"stages": {"a": {"pool": {"type": "adaptive_pool", "size": 1}}}}, "belong to 'classifier'"),
        ({"stages": {"a": {"conv": {**CONV, "kernel_size": 2, "padding": "same"}}}}, "odd kernel"),
        ({"stages": {"a": {"conv": {**CONV, "groups": 2}}}}, "groups=2 does not divide"),
        ({"in_channels": 0}, "in_channels: expected a number greater than 0 and at most 4096, found 0"),
        ({"in_channels": "three"}, "in_channels: expected a whole number"),
        ({"image_size": -4}, "image_size: expected a number of pixels up to 65,536 or [height, width], found -4"),
        ({"stem": "small"}, "no stem is called 'small'"),
        ({"output_stride": 7}, "output_stride"),
        ({"clasifier": {}}, "unknown key 'clasifier'. Did you mean 'classifier'?"),
        ({"classifier": {"pool": "average"}}, "classifier.pool"),
        ({"classifier": {"hidden": [0]}}, "classifier.hidden"),
        ({"layer_defaults": {"nrom": "batch"}}, "layer_defaults: unknown key 'nrom'. Did you mean 'norm'?"),
        ({"name": 3}, "name: expected a word, found 3"),
    ],
)  # fmt: skip
def test_a_backbone_that_does_not_hold_together_says_where(change, message):
    with pytest.raises(UserError) as error:
        read_backbone({**TINY, **change})
    assert message in str(error.value)


def test_a_kernel_larger_than_its_input_names_layer_sizes_and_smallest_image():
    spec = read_backbone("lenet", overrides={"stages.c3.conv.kernel_size": 25})
    with pytest.raises(UserError) as error:
        spec.feature_shapes(32)
    message = str(error.value)
    assert "stages.c3.conv: its 25x25 kernel does not fit into its 14x14x6 input" in message
    assert "smallest image that works is 56x56" in message
    assert [signal.chw for signal in spec.feature_shapes(56).values()][-1] == (16, 1, 1)
    with pytest.raises(UserError):
        spec.feature_shapes(55)


def test_what_is_overridden_in_a_layer_of_the_stem_wins_over_the_stem():
    overrides = {"stages.stem.conv.kernel_size": 5, "stem": "small", "stages.stem.conv.padding": 2}
    conv = create_backbone("resnet18", **overrides).stem.conv.conv
    assert (conv.kernel_size, conv.stride, conv.padding) == ((5, 5), (1, 1), (2, 2))


@pytest.mark.parametrize("channels", [0, -1, "3", 2.0, True])
def test_a_number_of_channels_that_cannot_be_is_refused(channels):
    with pytest.raises(UserError, match="in_channels: expected a whole number from 1 to 4096"):
        create_backbone("resnet18", in_channels=channels)


def test_one_stage_that_is_no_list_is_refused_with_the_list_to_type():
    with pytest.raises(UserError, match=r"expected a list of stages, found 'layer2'. Try: \['layer2'\]"):
        create_backbone("resnet18", out_features="layer2")


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ({"s": {"type": "norm_act"}}, "stages.s: expected a mapping of layer names .*found one block"),
        ({"s": {"block1": {"type": "norm_act"}, "blok1": {"stride": 2}}}, "blok1: this layer has no type.*'block1'"),
        (
            {"s": {"i": {"type": "inception", "branches": {"one": {"type": "norm_act"}}}}},
            "stages.s.i.branches.one: expected a mapping of layer names to blocks",
        ),
    ],
)
def test_a_block_where_layers_belong_is_explained(stages, message):
    with pytest.raises(UserError, match=message):
        read_backbone({"name": "tiny", "stages": stages})


def test_the_size_of_a_file_may_be_height_and_width():
    spec = read_backbone("lenet", overrides={"image_size": [48, 64]})
    assert spec.image_size == (48, 64)
    assert spec.feature_shapes(spec.image_size)["c3"].chw == (16, 9, 13)


@pytest.mark.parametrize("kind", ["inverted_residual", "convnext", "conv"])
def test_a_kernel_of_any_block_may_be_height_and_width(kind):
    """A 5x1 kernel over 3 channels, depthwise in all but ``conv``: its receptive field is 5 rows and 1 column."""
    keys = {} if kind == "convnext" else {"out_channels": 3}
    keys |= {"padding": "same"} if kind == "conv" else {}
    stages = {"a": {"block": {"type": kind, "kernel_size": [5, 1], **keys}}}
    shape = read_backbone({"name": "net", "stages": stages}).feature_shapes((16, 24))["a"]
    assert shape.chw == (3, 16, 24)
    assert (shape.height.receptive_field, shape.width.receptive_field) == (5, 1)
