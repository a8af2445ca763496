"""What every backbone promises: declared equals executed, it learns, and it travels."""

import pytest
import torch
import torchvision

from tests.helpers.backbones import (
    LARGEST_OF_EACH_FAMILY,
    SMALLEST_AND_LARGEST,
    SMALLEST_OF_EACH_FAMILY,
    key_of_file,
    slow_unless_smallest,
    torchvision_counterparts,
)
from tests.helpers.bare_networks import meta_device, uninitialised
from visionkit.backbones import create_backbone, list_backbones, read_backbone
from visionkit.errors import UserError
from visionkit.heads import read_head
from visionkit.layers import Residual
from visionkit.models import create_model

ALL = list_backbones()
EVERY = [slow_unless_smallest(name) for name in ALL]
SLOW = pytest.mark.slow

HEAVY = ("alexnet", "alexnet_2012", "convnext_tiny", "efficientnet_v2_s", "vgg11", "wide_resnet50_2")
LIGHTEST = [pytest.param(name, marks=SLOW) if name in HEAVY else name for name in SMALLEST_OF_EACH_FAMILY]
"""The smallest of each family, of which those with more than 20 million weights are slow."""

PUBLISHED_PARAMETERS = {
    ("airbench94", 10): 1_972_802,  # Jordan 2024: 1.97 M
    ("lenet", 10): 61_706,  # LeCun et al. 1998, every map connected
    ("alexnet", 1000): 61_100_840,  # torchvision.models.alexnet
    ("resnet18", 1000): 11_689_512,
    ("resnet34", 1000): 21_797_672,
    ("resnet50", 1000): 25_557_032,
    ("densenet121", 1000): 7_978_856,
    ("resnet20", 10): 269_722,  # He et al. 2016, table 6: 0.27 M
    ("resnet32", 10): 464_154,
    ("resnet44", 10): 658_586,
    ("resnet56", 10): 853_018,
    ("resnet110", 10): 1_727_962,  # 1.7 M
    ("plain20", 10): 269_722,
    ("plain56", 10): 853_018,
    ("alexnet_2012", 1000): 60_965_224,  # Krizhevsky et al. 2012: "60 million"
    ("densenet_bc_100_12", 10): 769_162,  # Huang et al. 2017, table 2: 0.8 M
    ("convnext_base", 1000): 88_591_464,
    ("convnext_large", 1000): 197_767_336,
    ("convnext_small", 1000): 50_223_688,
    ("convnext_tiny", 1000): 28_589_128,
    ("densenet161", 1000): 28_681_000,
    ("densenet169", 1000): 14_149_480,
    ("densenet201", 1000): 20_013_928,
    ("efficientnet_b0", 1000): 5_288_548,
    ("efficientnet_b1", 1000): 7_794_184,
    ("efficientnet_b2", 1000): 9_109_994,
    ("efficientnet_b3", 1000): 12_233_232,
    ("efficientnet_b4", 1000): 19_341_616,
    ("efficientnet_b5", 1000): 30_389_784,
    ("efficientnet_b6", 1000): 43_040_704,
    ("efficientnet_b7", 1000): 66_347_960,
    ("efficientnet_v2_l", 1000): 118_515_272,
    ("efficientnet_v2_m", 1000): 54_139_356,
    ("efficientnet_v2_s", 1000): 21_458_488,
    ("googlenet", 1000): 6_624_904,
    ("inception_v3", 1000): 23_834_568,  # 27,161,264 with the auxiliary classifier
    ("mnasnet0_5", 1000): 2_218_512,
    ("mnasnet0_75", 1000): 3_170_208,
    ("mnasnet1_0", 1000): 4_383_312,
    ("mnasnet1_3", 1000): 6_282_256,
    ("mobilenet_v2", 1000): 3_504_872,
    ("mobilenet_v3_large", 1000): 5_483_032,
    ("mobilenet_v3_small", 1000): 2_542_856,
    ("regnet_x_16gf", 1000): 54_278_536,
    ("regnet_x_1_6gf", 1000): 9_190_136,
    ("regnet_x_32gf", 1000): 107_811_560,
    ("regnet_x_3_2gf", 1000): 15_296_552,
    ("regnet_x_400mf", 1000): 5_495_976,
    ("regnet_x_800mf", 1000): 7_259_656,
    ("regnet_x_8gf", 1000): 39_572_648,
    ("regnet_y_16gf", 1000): 83_590_140,
    ("regnet_y_1_6gf", 1000): 11_202_430,
    ("regnet_y_32gf", 1000): 145_046_770,
    ("regnet_y_3_2gf", 1000): 19_436_338,
    ("regnet_y_400mf", 1000): 4_344_144,
    ("regnet_y_800mf", 1000): 6_432_512,
    ("regnet_y_8gf", 1000): 39_381_472,
    ("resnet101", 1000): 44_549_160,
    ("resnet152", 1000): 60_192_808,
    ("resnext101_32x8d", 1000): 88_791_336,
    ("resnext101_64x4d", 1000): 83_455_272,
    ("resnext50_32x4d", 1000): 25_028_904,
    ("shufflenet_v2_x0_5", 1000): 1_366_792,
    ("shufflenet_v2_x1_0", 1000): 2_278_604,
    ("shufflenet_v2_x1_5", 1000): 3_503_624,
    ("shufflenet_v2_x2_0", 1000): 7_393_996,
    ("squeezenet1_0", 1000): 1_248_424,
    ("squeezenet1_1", 1000): 1_235_496,
    ("vgg11", 1000): 132_863_336,
    ("vgg11_bn", 1000): 132_868_840,
    ("vgg13", 1000): 133_047_848,
    ("vgg13_bn", 1000): 133_053_736,
    ("vgg16", 1000): 138_357_544,
    ("vgg16_bn", 1000): 138_365_992,
    ("vgg19", 1000): 143_667_240,
    ("vgg19_bn", 1000): 143_678_248,
    ("wide_resnet101_2", 1000): 126_886_696,
    ("wide_resnet50_2", 1000): 68_883_240,
}


def sizes_of(name):
    spec = read_backbone(name)
    smallest = max(spec.smallest_image(), 32)
    return [(smallest + 1, smallest + 32), (smallest + 64, smallest + 64)]


def test_every_backbone_has_a_published_number_of_parameters():
    assert {name for name, _ in PUBLISHED_PARAMETERS} == set(ALL)


@pytest.mark.parametrize(("name", "num_classes"), [slow_unless_smallest(*case) for case in PUBLISHED_PARAMETERS])
def test_parameters_with_the_papers_classifier_are_the_published_ones(name, num_classes):
    with meta_device():
        model = create_model("classify", name, num_classes=num_classes)
    assert sum(p.numel() for p in model.parameters()) == PUBLISHED_PARAMETERS[name, num_classes]


@pytest.mark.parametrize("name", EVERY)
def test_declared_channels_and_strides_equal_the_executed_ones_at_two_sizes(name):
    with meta_device():
        backbone = create_backbone(name).eval()
        sizes = sizes_of(name)
        executed = [backbone(torch.zeros(1, backbone.spec.in_channels, *size)) for size in sizes]
    for size, features in zip(sizes, executed, strict=True):
        declared = backbone.spec.feature_shapes(size)
        assert list(features) == list(backbone.feature_info)
        for stage, feature in features.items():
            info = backbone.feature_info[stage]
            assert tuple(feature.shape[1:]) == declared[stage].chw
            assert feature.shape[1] == info.channels
    near, far = (backbone.spec.feature_shapes((256 + k * 32 * 4, 256)) for k in (0, 1))
    for stage, info in backbone.feature_info.items():
        assert far[stage].height.size - near[stage].height.size == 128 // info.stride


NOT_LINEAR = (
    torch.nn.ReLU, torch.nn.ReLU6, torch.nn.Tanh, torch.nn.GELU, torch.nn.Hardswish, torch.nn.SiLU,
    torch.nn.BatchNorm2d, torch.nn.LayerNorm, torch.nn.LocalResponseNorm,
)  # fmt: skip


@pytest.mark.parametrize("name", SMALLEST_OF_EACH_FAMILY)
def test_declared_offset_is_the_centre_of_what_a_cell_sees(name):
    """The footprint of a gradient is the receptive field; its middle is offset + cell * stride, at two sizes.

    What coarser stages of all backbones see is compared in tests/inspection/test_network.py.
    """
    spec = read_backbone(name)
    declared = {stage: feature.height.receptive_field for stage, feature in spec.feature_shapes(32_768).items()}
    views = {stage: view for stage, view in declared.items() if view is not None and view < 100}
    assert views
    with uninitialised():
        backbone = create_backbone(name, out_features=list(views)).eval().double()
    _make_linear(backbone)
    infos = {stage: backbone.feature_info[stage] for stage in views}
    first = {stage: -(-view // infos[stage].stride) for stage, view in views.items()}
    size = max(int(infos[s].offset + (first[s] + 1) * infos[s].stride + views[s] + infos[s].stride) for s in views)
    for further, pixels in ((0, size), (1, size + max(info.stride for info in infos.values()))):
        x = torch.zeros(1, spec.in_channels, pixels, 80, dtype=torch.float64, requires_grad=True)
        features = backbone(x)
        for stage, info in infos.items():
            cell = first[stage] + further
            (gradient,) = torch.autograd.grad(features[stage][0, :, cell].sum(), x, retain_graph=True)
            rows = gradient.abs().sum(dim=(0, 1, 3)).nonzero().flatten()
            assert (rows.min() + rows.max()).item() / 2 == info.offset + cell * info.stride, stage
            assert (rows.max() - rows.min()).item() + 1 == views[stage], stage


def _make_linear(backbone):
    """Positive weights and no nonlinearity, so that no path of the gradient is cut."""
    for module in backbone.modules():
        for name, child in module.named_children():
            if isinstance(child, torch.nn.MaxPool2d):
                pool = torch.nn.AvgPool2d(child.kernel_size, child.stride, child.padding, ceil_mode=child.ceil_mode)
                setattr(module, name, pool)
            elif isinstance(child, NOT_LINEAR):
                setattr(module, name, torch.nn.Identity())
        if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
            torch.nn.init.constant_(module.weight, 1 / module.weight[0].numel())


@pytest.mark.parametrize("size", ["400mf", "8gf"])
def test_a_gate_changes_neither_stride_nor_offset(size):
    """Squeeze-and-excitation sees the whole image, so its receptive field is not declared; the grid of cells is."""
    with_gates, without = (read_backbone(f"regnet_{kind}_{size}") for kind in "yx")
    assert with_gates.feature_shapes(224)["block4"].height.receptive_field is None
    for stage, info in without.feature_info.items():
        other = with_gates.feature_info[stage]
        assert (info.stride, info.offset) == (other.stride, other.offset)


@pytest.mark.parametrize("name", [slow_unless_smallest(name) for name in torchvision_counterparts()])
def test_multiplications_are_those_that_torchvision_publishes(name):
    """Its figures are in units of 1e9, rounded to three digits, at the size its weights are evaluated at."""
    weights = torchvision.models.get_model_weights(name).DEFAULT
    spec, size = read_backbone(name), weights.transforms().crop_size[0]
    (head,) = read_head("auto", task="classify").trace(spec, num_classes=1000, image_size=(size, size))
    macs = sum(stage.macs for stage in spec.trace(size).children) + head.macs
    assert macs / 1e9 == pytest.approx(weights.meta["_ops"], rel=0.01, abs=0.001)


@pytest.mark.parametrize("name", LIGHTEST)
def test_one_training_step_lowers_the_loss_on_its_batch(name):
    torch.manual_seed(0)
    size = max(32, read_backbone(name).smallest_image())
    model = create_model("classify", name, num_classes=4, image_size=size)
    _switch_chance_off(model)
    images = torch.randint(0, 256, (8, model.backbone.spec.in_channels, size, size), dtype=torch.uint8)
    targets = {"label": torch.arange(8) % 4}
    before = model.loss(model(images), targets)["loss"]
    before.backward()
    steepness = sum(p.grad.square().sum() for p in model.parameters()).item()
    torch.optim.SGD(model.parameters(), lr=0.02 / steepness).step()
    after = model.loss(model(images), targets)["loss"]
    assert 0 < (before - after).item() < 0.04  # to first order it falls by lr * |gradient|^2 = 0.02


def _switch_chance_off(model):
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if isinstance(module, Residual):
            module.drop_probability = 0.0


@pytest.mark.parametrize("name", LIGHTEST)
def test_state_dict_round_trip_gives_the_same_features(name, tmp_path):
    torch.manual_seed(0)
    size = max(32, read_backbone(name).smallest_image())
    one = create_backbone(name).eval()
    with uninitialised():
        other = create_backbone(name).eval()
    torch.save(one.state_dict(), tmp_path / "w.pth")
    other.load_state_dict(torch.load(tmp_path / "w.pth", weights_only=True))
    x = torch.rand(1, one.spec.in_channels, size, size)
    with torch.no_grad():
        assert torch.equal(one.forward_features(x), other.forward_features(x))


@pytest.mark.parametrize("name", SMALLEST_AND_LARGEST)
def test_any_number_of_image_channels_is_taken(name):
    size = max(32, read_backbone(name).smallest_image())
    for channels in (1, 5):
        with meta_device():
            backbone = create_backbone(name, in_channels=channels).eval()
            last = backbone.forward_features(torch.zeros(1, channels, size, size))
        assert tuple(last.shape[1:]) == list(backbone.spec.feature_shapes(size).values())[-1].chw


@pytest.mark.parametrize(
    "name",
    ["lenet", "resnet18", *(pytest.param(name, marks=SLOW) for name in ("convnext_tiny", "regnet_y_400mf"))],
)
def test_torch_compile_gives_the_same_logits(name):
    torch._dynamo.reset()
    model = create_model("classify", name, num_classes=3, image_size=32).eval()
    images = torch.randint(0, 256, (2, model.backbone.spec.in_channels, 32, 32), dtype=torch.uint8)
    with torch.no_grad():
        compiled = torch.compile(model, backend="aot_eager", fullgraph=True)(images)["logits"]
        torch.testing.assert_close(compiled, model(images)["logits"])


@pytest.mark.parametrize(
    "name",
    ["lenet", "resnet18",
     *(pytest.param(name, marks=SLOW)
       for name in ("convnext_tiny", "densenet121", "efficientnet_b0", "regnet_y_400mf", "shufflenet_v2_x0_5",
                    "squeezenet1_1"))],
)  # fmt: skip
def test_torch_export_takes_any_batch_size(name):
    model = create_model("classify", name, num_classes=3, image_size=32).eval()
    images = torch.randint(0, 256, (5, model.backbone.spec.in_channels, 32, 32), dtype=torch.uint8)
    program = torch.export.export(model, (images[:2],), dynamic_shapes=({0: torch.export.Dim("batch")},), strict=False)
    with torch.no_grad():
        torch.testing.assert_close(program.module()(images)["logits"], model(images)["logits"])


HOLDABLE = {
    name for name in torchvision_counterparts()
    if key_of_file(name, "torchvision")["family"]
    in ("resnet", "densenet", "mobilenet_v2", "mobilenet_v3", "mnasnet", "shufflenet_v2", "efficientnet", "regnet",
        "convnext")
}  # fmt: skip


@pytest.mark.parametrize("output_stride", [8, 16])
@pytest.mark.parametrize(
    "name",
    [slow_unless_smallest(n) for n in [*SMALLEST_OF_EACH_FAMILY, *LARGEST_OF_EACH_FAMILY] if n in HOLDABLE],
)
def test_output_stride_holds_the_last_stages_back(name, output_stride):
    with meta_device():
        backbone = create_backbone(name, output_stride=output_stride).eval()
        plain = create_backbone(name)
        features = backbone(torch.zeros(1, 3, 96, 96))
    strides = [info.stride for info in backbone.feature_info.values()]
    assert max(strides) == strides[-1] == output_stride
    assert {k: v.shape for k, v in backbone.state_dict().items()} == {k: v.shape for k, v in plain.state_dict().items()}
    assert [96 // feature.shape[-1] for feature in features.values()] == strides


def test_output_stride_keeps_the_branches_of_an_unpadded_net_together():
    with meta_device():
        backbone = create_backbone("inception_v3", output_stride=8).eval()
        features = backbone(torch.zeros(1, 3, 139, 139))
    assert {name: feature.shape[-1] for name, feature in features.items()} == {
        name: signal.chw[-1] for name, signal in backbone.spec.feature_shapes(139).items()
    }
    assert [info.stride for info in backbone.feature_info.values()] == [2, 4, 8, 8, 8]


def test_stochastic_depth_of_a_file_rises_over_all_stages_of_the_module():
    """Huang et al. 2016, equation 4: linear in the number of the block, up to the value in the file."""
    with meta_device():
        backbone = create_backbone("convnext_tiny")
    rates = [module.drop_probability for module in backbone.modules() if isinstance(module, Residual)]
    assert rates == pytest.approx([0.1 * nth / 18 for nth in range(1, 19)])


def test_stochastic_depth_without_shortcuts_is_refused():
    with pytest.raises(UserError, match="stochastic_depth: there is no residual block to leave out"):
        read_backbone("vgg11", overrides={"stochastic_depth": 0.1})


def test_an_even_kernel_inside_a_block_names_the_layer():
    with pytest.raises(UserError, match=r"stages.stage1.blocks.*kernel_size 4; choose an odd one"):
        read_backbone("convnext_tiny", overrides={"stages.stage1.blocks.kernel_size": 4})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"modle": "resnet18", "family": "resnet"}, "torchvision: unknown key 'modle'. Did you mean 'model'?"),
        ({"model": "resnet18"}, "torchvision.family: this key is required"),
    ],
)
def test_a_counterpart_that_is_not_named_in_full_is_refused(values, message):
    with pytest.raises(UserError, match=message):
        read_backbone({**_content("resnet18"), "torchvision": values})


def test_output_stride_equals_torchvisions_dilated_resnet50():
    """Chen et al. 2017; torchvision's replace_stride_with_dilation has the same weights under the same names."""
    from torchvision.models import resnet50

    from visionkit.models import convert_state_dict

    torch.manual_seed(0)
    theirs = resnet50(weights=None, replace_stride_with_dilation=[False, True, True]).double().eval()
    with uninitialised():
        ours = create_model("classify", {**_content("resnet50"), "output_stride": 8}, num_classes=1000).double().eval()
    ours.load_state_dict(convert_state_dict(theirs.state_dict(), "resnet50"))
    x = torch.rand(2, 3, 96, 96, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(ours.head(ours.backbone(x), (96, 96))["logits"], theirs(x), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", EVERY)
def test_every_backbone_takes_small_images_at_a_sensible_stride(name):
    stem = {"stem": "small"} if "small" in read_backbone(name).stems else {}
    with meta_device():
        backbone = create_backbone(name, **stem).eval()
        maps = [backbone.forward_features(torch.zeros(1, backbone.spec.in_channels, s, s)) for s in (28, 32)]
    last = list(backbone.feature_info.values())[-1]
    assert 4 <= last.stride <= 8
    assert min(*maps[0].shape[-2:], *maps[1].shape[-2:]) >= 2


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=SLOW) if name in HEAVY else name
     for name in SMALLEST_OF_EACH_FAMILY if "small" in (key_of_file(name, "stems") or ())],
)  # fmt: skip
def test_the_small_stem_learns_on_small_images(name):
    torch.manual_seed(0)
    model = create_model("classify", {**_content(name), "stem": "small"}, num_classes=2, image_size=28)
    _switch_chance_off(model)
    images = torch.randint(0, 256, (4, 3, 28, 28), dtype=torch.uint8)
    loss = model.loss(model(images), {"label": torch.tensor([0, 1, 0, 1])})["loss"]
    loss.backward()
    assert loss.isfinite()
    assert model.backbone.get_parameter(next(iter(dict(model.backbone.named_parameters())))).grad.abs().max() > 0


def _content(name):
    from visionkit.backbones.files import backbone_file, load_backbone_file

    return load_backbone_file(backbone_file(name))
