"""What every backbone promises: declared equals executed, it learns, and it travels."""

import pytest
import torch

from visionkit.backbones import create_backbone, list_backbones, read_backbone
from visionkit.models import create_model

ALL = list_backbones()
QUICK = ["lenet", "resnet18", "resnet20", "plain20", "densenet121"]
SLOW = [name for name in ALL if name not in QUICK]
EVERY = [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)]

PUBLISHED_PARAMETERS = {
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
}


def sizes_of(name):
    spec = read_backbone(name)
    smallest = max(spec.smallest_image(), 32)
    return [(smallest + 1, smallest + 32), (smallest + 64, smallest + 64)]


def test_every_backbone_has_a_published_number_of_parameters():
    assert {name for name, _ in PUBLISHED_PARAMETERS} == set(ALL)


@pytest.mark.parametrize(("name", "num_classes"), PUBLISHED_PARAMETERS)
def test_parameters_with_the_papers_classifier_are_the_published_ones(name, num_classes):
    with torch.device("meta"):
        model = create_model("classify", name, num_classes=num_classes)
    assert sum(p.numel() for p in model.parameters()) == PUBLISHED_PARAMETERS[name, num_classes]


@pytest.mark.parametrize("name", EVERY)
def test_declared_channels_and_strides_equal_the_executed_ones_at_two_sizes(name):
    backbone = create_backbone(name).eval()
    for height, width in sizes_of(name):
        with torch.no_grad():
            features = backbone(torch.zeros(1, backbone.spec.in_channels, height, width))
        declared = backbone.spec.features((height, width))
        assert list(features) == list(backbone.feature_info)
        for stage, feature in features.items():
            info = backbone.feature_info[stage]
            assert tuple(feature.shape[1:]) == declared[stage].shape
            assert feature.shape[1] == info.channels
    near, far = (backbone.spec.features((256 + k * 32 * 4, 256)) for k in (0, 1))
    for stage, info in backbone.feature_info.items():
        assert far[stage].height.size - near[stage].height.size == 128 // info.stride


def _stages_and_views(name):
    spec = read_backbone(name)
    return [(stage, spec.features(32_768)[stage].height.receptive_field) for stage in spec.stages]


STAGES = [
    pytest.param(name, stage, marks=[] if name in QUICK and view < 300 else pytest.mark.slow)
    for name in ALL
    for stage, view in _stages_and_views(name)
    if view < 1200
]


@pytest.mark.parametrize(("name", "stage"), STAGES)
def test_declared_offset_is_the_centre_of_what_a_cell_sees(name, stage):
    """The footprint of a gradient is the receptive field; its middle is offset + cell * stride, at two sizes."""
    spec = read_backbone(name)
    backbone = create_backbone(name, out_features=[stage]).eval().double()
    _make_linear(backbone)
    info = backbone.feature_info[stage]
    view = spec.features(32_768)[stage].height.receptive_field
    first = -(-view // info.stride)
    size = int(info.offset + (first + 1) * info.stride + view + info.stride)
    for cell, pixels in ((first, size), (first + 1, size + info.stride)):
        x = torch.zeros(1, spec.in_channels, pixels, 80, dtype=torch.float64, requires_grad=True)
        backbone(x)[stage][0, :, cell].sum().backward()
        rows = x.grad.abs().sum(dim=(0, 1, 3)).nonzero().flatten()
        assert (rows.min() + rows.max()).item() / 2 == info.offset + cell * info.stride
        assert (rows.max() - rows.min()).item() + 1 == view


def _make_linear(backbone):
    """Positive weights and no nonlinearity, so that no path of the gradient is cut."""
    for module in backbone.modules():
        for name, child in module.named_children():
            if isinstance(child, torch.nn.MaxPool2d):
                pool = torch.nn.AvgPool2d(child.kernel_size, child.stride, child.padding, ceil_mode=child.ceil_mode)
                setattr(module, name, pool)
            elif isinstance(child, torch.nn.ReLU | torch.nn.Tanh):
                setattr(module, name, torch.nn.Identity())
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.constant_(module.weight, 1 / module.weight[0].numel())


@pytest.mark.parametrize("name", EVERY)
def test_one_training_step_lowers_the_loss_on_its_batch(name):
    torch.manual_seed(0)
    size = max(32, read_backbone(name).smallest_image())
    model = create_model("classify", name, num_classes=4, image_size=size)
    model.head.apply(lambda m: setattr(m, "p", 0.0) if isinstance(m, torch.nn.Dropout) else None)
    images = torch.randint(0, 256, (8, model.backbone.spec.in_channels, size, size), dtype=torch.uint8)
    targets = {"label": torch.arange(8) % 4}
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    before = model.loss(model(images), targets)["loss"]
    before.backward()
    optimizer.step()
    assert model.loss(model(images), targets)["loss"] < before


@pytest.mark.parametrize("name", EVERY)
def test_state_dict_round_trip_gives_the_same_features(name, tmp_path):
    torch.manual_seed(0)
    size = max(32, read_backbone(name).smallest_image())
    one, other = create_backbone(name).eval(), create_backbone(name).eval()
    torch.save(one.state_dict(), tmp_path / "w.pth")
    other.load_state_dict(torch.load(tmp_path / "w.pth", weights_only=True))
    x = torch.rand(1, one.spec.in_channels, size, size)
    with torch.no_grad():
        assert torch.equal(one.forward_features(x), other.forward_features(x))


@pytest.mark.parametrize("name", EVERY)
def test_any_number_of_image_channels_is_taken(name):
    size = max(32, read_backbone(name).smallest_image())
    for channels in (1, 5):
        backbone = create_backbone(name, in_channels=channels).eval()
        with torch.no_grad():
            last = backbone.forward_features(torch.zeros(1, channels, size, size))
        assert tuple(last.shape[1:]) == list(backbone.spec.features(size).values())[-1].shape


@pytest.mark.parametrize("name", ["lenet", "resnet18", "densenet121"])
def test_torch_compile_gives_the_same_logits(name):
    torch._dynamo.reset()
    model = create_model("classify", name, num_classes=3, image_size=32).eval()
    images = torch.randint(0, 256, (2, model.backbone.spec.in_channels, 32, 32), dtype=torch.uint8)
    with torch.no_grad():
        compiled = torch.compile(model, backend="aot_eager", fullgraph=True)(images)["logits"]
        torch.testing.assert_close(compiled, model(images)["logits"])


@pytest.mark.parametrize("name", ["lenet", "resnet18", "densenet121"])
def test_torch_export_takes_any_batch_size(name):
    model = create_model("classify", name, num_classes=3, image_size=32).eval()
    images = torch.randint(0, 256, (5, model.backbone.spec.in_channels, 32, 32), dtype=torch.uint8)
    program = torch.export.export(model, (images[:2],), dynamic_shapes=({0: torch.export.Dim("batch")},), strict=False)
    with torch.no_grad():
        torch.testing.assert_close(program.module()(images)["logits"], model(images)["logits"])


@pytest.mark.parametrize("output_stride", [8, 16])
@pytest.mark.parametrize("name", ["resnet18", "resnet50", "densenet121"])
def test_output_stride_holds_the_last_stages_back(name, output_stride):
    backbone = create_backbone(name, output_stride=output_stride).eval()
    strides = [info.stride for info in backbone.feature_info.values()]
    assert max(strides) == strides[-1] == output_stride
    with torch.no_grad():
        features = backbone(torch.zeros(1, 3, 96, 96))
    assert [96 // feature.shape[-1] for feature in features.values()] == strides


def test_output_stride_equals_torchvisions_dilated_resnet50():
    """Chen et al. 2017; torchvision's replace_stride_with_dilation has the same weights under the same names."""
    from torchvision.models import resnet50

    from visionkit.models import convert_state_dict

    torch.manual_seed(0)
    theirs = resnet50(weights=None, replace_stride_with_dilation=[False, True, True]).double().eval()
    ours = create_model("classify", {**_content("resnet50"), "output_stride": 8}, num_classes=1000).double().eval()
    ours.load_state_dict(convert_state_dict(theirs.state_dict(), "resnet50"))
    x = torch.rand(2, 3, 96, 96, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(ours.head(ours.backbone(x), (96, 96))["logits"], theirs(x), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ["alexnet", "resnet18", "resnet50", "densenet121"])
@pytest.mark.parametrize("size", [28, 32])
def test_the_small_stem_makes_imagenet_designs_fit_small_images(name, size):
    backbone = create_backbone(name, stem="small").eval()
    last = list(backbone.feature_info.values())[-1]
    assert last.stride == 8
    with torch.no_grad():
        assert min(backbone.forward_features(torch.zeros(1, 3, size, size)).shape[-2:]) >= 2


def _content(name):
    from visionkit.backbones.files import backbone_file, load_backbone_file

    return load_backbone_file(backbone_file(name))
