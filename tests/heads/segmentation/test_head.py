"""Heads that give each pixel a class: every size and backbone, and where their cells lie."""

import pytest
import torch
from torch.nn import functional as F
from torchvision.models import get_model_weights

from tests.helpers.bare_networks import meta_device
from tests.helpers.drawn_features import DrawnFeatures
from visionkit import UserError, create_model
from visionkit.backbones import read_backbone
from visionkit.heads import HEADS, read_head
from visionkit.heads.segmentation.head import _pad_to_image
from visionkit.losses.segmentation import dice_loss, pixel_cross_entropy, pixel_focal_loss

NAMES = [name for name in HEADS.names() if HEADS.get(name).task == "segment"]
AUXILIARY = {"weight": 0.4}
FEW = ["lenet", "mobilenet_v2", "resnet20", "resnet18", "squeezenet1_1", "vgg11"]
SMP_PARAMETERS = {
    # segmentation_models_pytorch 0.6.0, 11 classes: Unet and DeepLabV3Plus
    ("unet", "resnet18"): 14_329_659,
    ("unet", "resnet34"): 24_437_819,
    ("unet", "resnet50"): 32_522_555,
    ("unet", "mobilenet_v2"): 6_630_395,
    ("deeplabv3plus", "resnet18"): 12_331_867,
    ("deeplabv3plus", "resnet34"): 22_440_027,
    ("deeplabv3plus", "resnet50"): 26_680_155,
    ("deeplabv3plus", "mobilenet_v2"): 4_381_083,
}


def on_meta(head, backbone, **options):
    with meta_device():
        return create_model("segment", backbone, num_classes=11, head=head, **options)


def two_sizes(backbone):
    """An odd, narrow size and another one, both large enough."""
    smallest = max(read_backbone(backbone).smallest_image(), 32)
    return (smallest + 1, smallest + 38), (smallest + 69, smallest + 2)


def test_the_default_is_the_small_unet():
    assert read_head(None, task="segment") == read_head("unet_small", task="segment")


@pytest.mark.parametrize("name", FEW)
@pytest.mark.parametrize("head", NAMES)
def test_logits_have_the_images_size_at_odd_sizes(head, name, monkeypatch):
    monkeypatch.setattr("visionkit.models.assemble.build_backbone", DrawnFeatures)
    model = on_meta(head, name, in_channels=1).eval()
    for size in two_sizes(name):
        with meta_device():
            outputs = model(torch.zeros(2, 1, *size, dtype=torch.uint8))
        assert {key: tuple(x.shape) for key, x in outputs.items()} == {"logits": (2, 11, *size)}


@pytest.mark.parametrize("name", FEW)
@pytest.mark.parametrize("head", NAMES)
def test_declared_counts_and_sizes_are_the_modules(head, name):
    model = on_meta({"type": head, "auxiliary": AUXILIARY}, name)
    seen = {}
    for part in model.head.parts:
        module = model.head.get_submodule(part)
        module.register_forward_hook(
            lambda module, inputs, output, part=part: seen.update({part: tuple(output.shape[1:])})
        )
    for size in two_sizes(name):
        records = model.head.spec.trace(model.backbone.spec, num_classes=11, image_size=size)
        with meta_device():
            outputs = model(torch.zeros(2, model.backbone.spec.in_channels, *size, dtype=torch.uint8))
        whole = {key: tuple(x.shape[1:]) for key, x in outputs.items()}
        seen |= {f"{key}_per_pixel": shape for key, shape in whole.items() if shape != seen[key]}
        assert seen == {record.path[1]: record.after.chw for record in records if record.path[0] == "head"}
        own = [p for key, p in model.named_parameters() if key.startswith(("head.", "neck."))]
        assert sum(record.parameters for record in records) == sum(p.numel() for p in own)


@pytest.mark.parametrize(("head", "backbone"), SMP_PARAMETERS)
def test_parameters_with_the_papers_widths_are_those_of_segmentation_models_pytorch(head, backbone):
    assert sum(p.numel() for p in on_meta(head, backbone).parameters()) == SMP_PARAMETERS[head, backbone]


@pytest.mark.parametrize(("head", "backbone"), SMP_PARAMETERS)
def test_the_numbers_above_are_those_of_the_installed_segmentation_models_pytorch(head, backbone):
    smp = pytest.importorskip("segmentation_models_pytorch")
    make = {"unet": smp.Unet, "deeplabv3plus": smp.DeepLabV3Plus}[head]
    theirs = make(backbone, encoder_weights=None, classes=11)
    assert sum(p.numel() for p in theirs.parameters()) == SMP_PARAMETERS[head, backbone]


@pytest.mark.parametrize("backbone", ["resnet50", "resnet101"])
@pytest.mark.parametrize("head", ["fcn", "deeplabv3"])
def test_parameters_with_an_auxiliary_head_are_the_published_ones(head, backbone):
    with meta_device():
        options = {"type": head, "auxiliary": AUXILIARY}
        model = create_model("segment", backbone, num_classes=21, head=options)
    published = get_model_weights(f"{head}_{backbone}").DEFAULT.meta["num_params"]
    assert sum(p.numel() for p in model.parameters()) == published


@pytest.mark.parametrize("name", FEW)
def test_a_step_moves_the_weights_of_backbone_and_unet(name):
    torch.manual_seed(0)
    spec = read_backbone(name)
    size = max(spec.smallest_image(), 33)
    model = create_model("segment", name, num_classes=3, head={"type": "unet", "channels": [16, 8]}, in_channels=1)
    images = torch.randint(0, 256, (2, 1, size, size + 9), dtype=torch.uint8)
    mask = torch.randint(0, 3, (2, size, size + 9)).to(torch.uint8)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    before = {key: p.detach().clone() for key, p in model.named_parameters()}
    loss = sum(model.loss(model(images), {"mask": mask}).values())
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    optimizer.step()
    moved = [not torch.equal(before[key], p) for key, p in model.named_parameters() if p.ndim == 4]
    assert sum(moved) > 0.9 * len(moved)


@pytest.mark.parametrize("name", ["lenet", "alexnet_2012", "squeezenet1_0", "inception_v3", "resnet18", "vgg11"])
def test_cells_lie_where_they_look(name):
    """A map that holds the pixel on which each cell is centred says, enlarged, nearly the place of every pixel."""
    spec = read_backbone(name)
    size = 256
    infos, signals = spec.feature_info, spec.feature_shapes(size)
    for stage, info in infos.items():
        cells = signals[stage].height.size
        centers = info.offset + info.stride * torch.arange(cells, dtype=torch.float64)
        x = centers[:, None].expand(1, 1, cells, cells)
        covered = _pad_to_image(x, info, (size, size))
        assert covered.shape[-1] == covered.shape[-2] == -(-size // info.stride)
        enlarged = F.interpolate(covered, size=(size, size), mode="bilinear")[0, 0, :, size // 2]
        pixels = torch.arange(size, dtype=torch.float64)
        seen = (pixels >= centers[0]) & (pixels <= centers[-1])
        assert (enlarged - pixels)[seen].abs().max() <= info.stride / 2 + 1e-9


def test_a_map_that_reaches_the_edges_is_left_as_it_is():
    spec = read_backbone("resnet18")
    x = torch.randn(1, 64, 25, 33)
    assert _pad_to_image(x, spec.feature_info["layer1"], (97, 130)) is x


@pytest.mark.parametrize(("head", "stride"), [("fcn", 8), ("deeplabv3", 8), ("deeplabv3plus", 16), ("unet", 32)])
def test_a_head_holds_the_backbones_stride_where_the_backbone_says_nothing(head, stride):
    infos = on_meta(head, "resnet18").backbone.spec.feature_info
    assert [info.stride for info in infos.values()][-1] == stride


def test_the_backbones_own_stride_wins_over_the_heads():
    spec = read_backbone("resnet18", overrides={"output_stride": 16})
    model = on_meta("fcn", spec)
    assert [info.stride for info in model.backbone.feature_info.values()] == [16]
    plain = on_meta({"type": "fcn", "output_stride": None}, "resnet18")
    assert [info.stride for info in plain.backbone.feature_info.values()] == [32]


@pytest.mark.parametrize("backbone", ["mobilenet_v2", "densenet121"])
def test_a_head_holds_the_stride_as_the_backbones_own_key_does(backbone):
    from_head = on_meta({"type": "unet", "output_stride": 8}, backbone).backbone.spec
    assert from_head.stages == read_backbone(backbone, overrides={"output_stride": 8}).stages


def test_a_head_holds_the_stride_of_timms_models_too():
    pytest.importorskip("timm")
    timm = {"name": "timm", "model": "resnet10t"}
    model = create_model("segment", timm, num_classes=3, head="fcn").eval()
    assert model.backbone.spec.output_stride == 8
    assert [info.stride for info in model.backbone.spec.feature_info.values()][-1] == 8
    assert model(torch.zeros(1, 3, 67, 50, dtype=torch.uint8))["logits"].shape == (1, 3, 67, 50)


def test_only_the_stages_that_are_used_are_given():
    assert list(on_meta("fcn", "resnet18").backbone.feature_info) == ["layer4"]
    assert list(on_meta("deeplabv3plus", "resnet18").backbone.feature_info) == ["layer1", "layer4"]
    assert list(on_meta("unet", "vgg11").backbone.feature_info) == [
        info.name for info in {i.stride: i for i in read_backbone("vgg11").feature_info.values()}.values()
    ]


@pytest.mark.parametrize("head", NAMES)
def test_the_auxiliary_head_runs_in_training_alone_and_weighs_what_it_is_told(head):
    torch.manual_seed(0)
    options = {"type": head, "auxiliary": {"weight": 0.25}, "loss": {"dice": 1.0, "cross_entropy": 0.5}}
    model = create_model("segment", "resnet20", num_classes=3, head=options)
    images, mask = torch.randint(0, 256, (2, 3, 35, 40), dtype=torch.uint8), torch.ones(2, 35, 40, dtype=torch.uint8)
    outputs = model(images)
    losses = model.loss(outputs, {"mask": mask})
    assert outputs["auxiliary"].shape == outputs["logits"].shape == (2, 3, 35, 40)
    assert list(losses) == ["cross_entropy", "dice_loss", "auxiliary"]
    expected = 0.25 * (0.5 * pixel_cross_entropy(outputs["auxiliary"], mask) + dice_loss(outputs["auxiliary"], mask))
    torch.testing.assert_close(losses["auxiliary"], expected)
    with torch.no_grad():
        assert list(model.eval()(images)) == ["logits"]


def test_the_loss_is_the_weighted_sum_of_its_terms():
    generator = torch.Generator().manual_seed(0)
    options = {
        "type": "unet", "loss": {"cross_entropy": 2.0, "dice": 3.0, "focal": 4.0}, "focal_gamma": 1.5,
        "label_smoothing": 0.1, "class_weights": [1.0, 0.5, 2.0],
    }  # fmt: skip
    model = create_model("segment", "lenet", num_classes=3, head=options)
    logits = torch.randn(2, 3, 8, 8, generator=generator)
    mask = torch.randint(0, 3, (2, 8, 8), generator=generator, dtype=torch.uint8)
    weights = torch.tensor([1.0, 0.5, 2.0])
    losses = model.loss({"logits": logits}, {"mask": mask})
    smooth = pixel_cross_entropy(logits, mask, class_weights=weights, label_smoothing=0.1)
    torch.testing.assert_close(losses["cross_entropy"], 2 * smooth)
    torch.testing.assert_close(losses["dice_loss"], 3 * dice_loss(logits, mask))
    torch.testing.assert_close(losses["focal"], 4 * pixel_focal_loss(logits, mask, class_weights=weights, gamma=1.5))


def test_class_weights_are_no_part_of_the_weights():
    model = on_meta({"type": "unet", "class_weights": [1.0] * 11}, "lenet")
    assert not any("class_weights" in key for key in model.state_dict())


def test_predictions_are_the_likeliest_classes_and_nothing_outside_the_image():
    model = create_model("segment", "lenet", num_classes=3)
    logits = torch.randn(2, 3, 8, 9, generator=torch.Generator().manual_seed(0))
    found = model.predict({"logits": logits}, torch.tensor([[8, 9], [5, 4]]))
    assert found["mask"].dtype == torch.uint8
    assert torch.equal(found["mask"][0], logits[0].argmax(0).to(torch.uint8))
    torch.testing.assert_close(found["scores"][0], logits[0].softmax(0).amax(0))
    assert (found["mask"][1, 5:] == 255).all()
    assert (found["mask"][1, :, 4:] == 255).all()
    assert (found["mask"][1, :5, :4] < 3).all()
    assert found["scores"][1, 5:].max() == 0


def test_what_lies_outside_an_image_changes_nothing_inside():
    """Preprocessing sets it to zero, whatever it was."""
    model = create_model("segment", "resnet20", num_classes=3).eval()
    images = torch.randint(0, 256, (1, 3, 32, 32), dtype=torch.uint8)
    others = images.clone()
    others[..., 20:] = 77
    sizes = torch.tensor([[32, 20]])
    with torch.no_grad():
        torch.testing.assert_close(model(images, sizes)["logits"], model(others, sizes)["logits"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": {"dise": 1.0}}, r"head.loss: no loss of pixels is called 'dise'. Did you mean 'dice'\?"),
        (
            {"loss": {"cross_entropy": 0.0}},
            "head.loss: all factors are 0, so there is nothing to minimise. Expected one above 0",
        ),
        ({"focal_gamma": 0.5}, "head.focal_gamma: expected a number from 1 to 100"),
        ({"class_weights": [1.0]}, "head.class_weights: expected one number for each of the 3 classes, found 1"),
        ({"class_weights": [0.0, 0.0, 0.0]}, "head.class_weights: all are 0, so no pixel would count"),
        ({"class_weights": "balanced"}, "class_weights=balanced needs a data set to count in"),
        ({"output_stride": 4}, "head.output_stride: expected 8, 16 or 32"),
        ({"auxiliary": {"weight": 0}}, "head.auxiliary.weight: expected a number greater than 0"),
        ({"channels": []}, "head.channels: expected"),
    ],
)
def test_a_head_that_cannot_be_is_refused(options, message):
    with pytest.raises(UserError, match=message):
        create_model("segment", "lenet", num_classes=3, head={"type": "unet", **options})


def test_more_classes_than_a_byte_holds_are_refused():
    with pytest.raises(UserError, match="found 256 classes, but a mask holds at most 255"):
        create_model("segment", "lenet", num_classes=256)


def test_a_head_for_another_task_is_refused_with_those_that_fit():
    fitting = "deeplabv3, deeplabv3_small, deeplabv3plus, deeplabv3plus_small, fcn, fpn, fpn_small, unet, unet_small"
    with pytest.raises(
        UserError, match=f"head 'fcos' serves task 'detect', not 'segment'. Heads for 'segment': {fitting}"
    ):
        read_head("fcos", task="segment")
