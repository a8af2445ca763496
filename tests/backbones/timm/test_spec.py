"""timm's models under our contract."""

import subprocess
import sys

import pytest
import torch

from visionkit.backbones import create_backbone, read_backbone
from visionkit.errors import UserError
from visionkit.models import convert_state_dict, create_model

timm = pytest.importorskip("timm")

FLEXIBLE = ["resnet18", "mobilenetv3_small_050", "convnext_atto"]
FIXED = ["swin_tiny_patch4_window7_224", "vit_tiny_patch16_224"]
EVERY = [*FLEXIBLE, *(pytest.param(name, marks=pytest.mark.slow) for name in FIXED)]


def read(model, **keys):
    return read_backbone({"name": "timm", "model": model, **keys})


def maps_of(backbone, height, width):
    with torch.no_grad():
        return backbone(torch.rand(1, backbone.spec.in_channels, height, width))


@pytest.mark.parametrize("model", EVERY)
def test_declared_channels_and_strides_equal_the_executed_ones_at_two_sizes(model):
    for height, width in ((224, 224), (96, 96)) if model in FIXED else ((97, 128), (160, 160)):
        keys = {"image_size": height} if model in FIXED else {}
        backbone = create_backbone("timm", model=model, **keys).eval()
        maps = maps_of(backbone, height, width)
        declared = backbone.spec.feature_shapes((height, width))
        assert list(maps) == list(backbone.feature_info) == list(declared)
        for stage, info in backbone.feature_info.items():
            assert tuple(maps[stage].shape[1:]) == declared[stage].chw
            assert maps[stage].shape[1] == info.channels
            assert maps[stage].shape[3] == width / info.stride


@pytest.mark.parametrize("model", EVERY)
def test_maps_are_those_of_timm_with_the_same_weights(model):
    torch.manual_seed(0)
    backbone = create_backbone("timm", model=model).eval()
    theirs = timm.create_model(model, features_only=True).eval()
    theirs.load_state_dict(backbone.net.state_dict())
    x = torch.rand(1, 3, 224, 224)
    with torch.no_grad():
        maps, expected = backbone(x), theirs(x)
        assert torch.equal(backbone.forward_features(x), list(maps.values())[-1])
    for ours, reference, channels in zip(maps.values(), expected, theirs.feature_info.channels(), strict=True):
        assert ours.shape[1] == channels
        assert torch.equal(ours, reference if reference.shape[1] == channels else reference.permute(0, 3, 1, 2))


def test_timms_resnet18_gives_the_maps_of_our_own():
    torch.manual_seed(0)
    theirs = timm.create_model("resnet18").double()
    ours = create_model("classify", "resnet18", num_classes=1000).double()
    ours.load_state_dict(convert_state_dict(theirs.state_dict(), "resnet18"))  # timm keeps torchvision's names
    bridge = create_backbone("timm", model="resnet18").double().eval()
    bridge.net.load_state_dict({k: v for k, v in theirs.state_dict().items() if not k.startswith("fc.")})
    x = torch.rand(1, 3, 64, 96, dtype=torch.float64)
    with torch.no_grad():
        pairs = zip(bridge(x).values(), ours.eval().backbone(x).values(), strict=True)
        for one, other in pairs:
            torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("ours", "model"), [("resnet18", "resnet18"), ("densenet121", "densenet121")])
def test_measured_strides_and_offsets_are_those_our_arithmetic_gives(ours, model):
    geometry = [
        [(info.channels, info.stride, info.offset) for info in spec.feature_info.values()]
        for spec in (read_backbone(ours), read(model))
    ]
    assert geometry[0] == geometry[1]


@pytest.mark.parametrize("model", ["convnext_atto", "swin_tiny_patch4_window7_224"])
def test_patches_that_do_not_overlap_are_centred_on_themselves(model):
    """Swin merges patches without a convolution, so its offsets are not measured."""
    assert [info.offset for info in read(model).feature_info.values()] == [1.5, 3.5, 7.5, 15.5]


def test_measured_parameters_and_multiplications_are_those_our_arithmetic_gives():
    ours, theirs = (spec.trace(224) for spec in (read_backbone("resnet18"), read("resnet18")))
    assert [r.parameters for r in theirs.children] == [r.parameters for r in ours.children]
    # torchvision publishes 1.814 G with the classifier's 512,000
    assert sum(r.node.macs(r.before) for r in theirs.children) == 1_814_073_344 - 512_000


@pytest.mark.parametrize("model", EVERY)
def test_a_parameter_belongs_to_the_first_stage_that_depends_on_it(model):
    backbone = create_backbone("timm", model=model)
    size = 224 if model in FIXED else 64
    parameters = dict(backbone.net.named_parameters())
    known = {name: i for i, stage in enumerate(backbone.spec.stages.values()) for name in stage.measurement.parameters}
    maps = backbone(torch.rand(2, 3, size, size))
    for i, x in enumerate(maps.values()):
        grads = torch.autograd.grad(x.sum(), list(parameters.values()), retain_graph=True, allow_unused=True)
        depends = {name for name, grad in zip(parameters, grads, strict=True) if grad is not None}
        assert depends == {name for name, stage in known.items() if stage <= i}


@pytest.mark.parametrize("model", EVERY)
def test_frozen_stages_give_the_same_maps_after_a_training_step(model):
    torch.manual_seed(0)
    size = 224 if model in FIXED else 64
    backbone = create_backbone("timm", model=model)
    backbone.freeze(2)
    x = torch.rand(2, 3, size, size)
    before = maps_of(backbone.eval(), size, size) and {k: v.detach() for k, v in backbone(x).items()}
    backbone.train()
    optimizer = torch.optim.SGD(backbone.parameters(), lr=0.1)
    sum(v.square().mean() for v in backbone(x).values()).backward()
    optimizer.step()
    after = backbone.eval()(x)
    same = [torch.equal(before[stage], after[stage]) for stage in before]
    assert same == [True, True, *[False] * (len(same) - 2)]
    backbone.freeze(0)
    assert all(p.requires_grad for p in backbone.parameters())


@pytest.mark.slow
def test_a_parameter_no_map_depends_on_takes_no_part_in_training():
    """Several processes would wait for its gradient for ever."""
    backbone = create_backbone("timm", model="pit_ti_224")
    sum(x.sum() for x in backbone(torch.rand(1, 3, 224, 224)).values()).backward()
    idle = [name for name, p in backbone.named_parameters() if p.grad is None]
    assert idle == ["net.body.norm.weight", "net.body.norm.bias"]
    assert [name for name, p in backbone.named_parameters() if not p.requires_grad] == idle


def test_stages_behind_the_last_one_wanted_are_not_built():
    backbone = create_backbone("timm", model="resnet18", out_features=["stage3"])
    assert list(maps_of(backbone, 64, 64)) == list(backbone.feature_info) == ["stage3"]
    assert not any(name.startswith(("net.layer3", "net.layer4")) for name in backbone.state_dict())
    with pytest.raises(UserError, match=r"timm-resnet18 has no stage 'stage9'.*stage1, stage2"):
        create_backbone("timm", model="resnet18", out_features=["stage9"])


@pytest.mark.parametrize("channels", [1, 5])
def test_any_number_of_image_channels_is_taken(channels):
    backbone = create_backbone("timm", model="convnext_atto", in_channels=channels).eval()
    assert maps_of(backbone, 64, 64)["stage4"].shape == (1, 320, 2, 2)


def test_output_stride_holds_the_last_stages_back():
    backbone = create_backbone("timm", model="resnet18", output_stride=8).eval()
    assert [info.stride for info in backbone.feature_info.values()] == [2, 4, 8, 8, 8]
    assert [96 // x.shape[-1] for x in maps_of(backbone, 96, 96).values()] == [2, 4, 8, 8, 8]


def test_one_training_step_of_a_classifier_lowers_the_loss_on_its_batch():
    torch.manual_seed(0)
    model = create_model("classify", {"name": "timm", "model": "resnet18"}, num_classes=4, image_size=32)
    images, targets = torch.randint(0, 256, (8, 3, 32, 32), dtype=torch.uint8), {"label": torch.arange(8) % 4}
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    before = model.loss(model(images), targets)["loss"]
    before.backward()
    optimizer.step()
    assert model.loss(model(images), targets)["loss"] < before


@pytest.mark.slow
def test_torch_compile_gives_the_same_logits():
    torch._dynamo.reset()
    model = create_model("classify", {"name": "timm", "model": "convnext_atto"}, num_classes=3, image_size=32).eval()
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    with torch.no_grad():
        compiled = torch.compile(model, backend="aot_eager", fullgraph=True)(images)["logits"]
        torch.testing.assert_close(compiled, model(images)["logits"])


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({}, r"model: it is not said which of timm's models is meant. Try backbone.model=convnext_tiny. To list them: "
             r"python -m visionkit list timm pattern='convnext\*'"),
        ({"model": "resnet188"}, r"timm has no model 'resnet188'. Did you mean 'resnet18'\? To list them: python"),
        ({"model": "resnet18.a9_in1k"}, r"no weights 'a9_in1k' for resnet18. Did you mean 'resnet18.a\d_in1k'\? Known: "
                                        r"resnet18, resnet18.a1_in1k"),
        ({"model": "resnet18", "stages": {}}, r"backbone timm: unknown key 'stages'.*Known keys: name, model, in_chan"),
        ({"model": "resnet18", "classifier": {"depth": 3}}, r"timm-resnet18: classifier: unknown key 'depth'"),
        ({"model": "vit_tiny_patch16_224", "output_stride": 16}, r"cannot build this model with output_stride=16 \(.*"
                                                                 r"Try without, or another model"),
        ({"model": "swin_tiny_patch4_window7_224", "image_size": 2}, r"take a 3x2x2 image: .*Kernel size: \(4 x 4\)"),
    ],
)  # fmt: skip
def test_a_wrong_key_says_what_to_type_instead(keys, message):
    with pytest.raises(UserError, match=message):
        read_backbone({"name": "timm", **keys})


def test_a_model_without_feature_maps_says_so(monkeypatch):
    def refuse(*arguments, **keys):
        raise RuntimeError("features_only not implemented for this model.")  # as timm has said of some

    monkeypatch.setattr(timm, "create_model", refuse)
    with pytest.raises(
        UserError, match=r"timm-resnet26: timm cannot build this model with feature maps: features_only not"
    ):
        read("resnet26")


def test_an_image_too_small_says_which_one_works():
    with pytest.raises(
        UserError, match=r"cannot take a 3x40x40 image: .* One of 75x75 works. Try dataset.image_size=75"
    ):
        read("inception_v3").feature_shapes(40)


def test_a_model_made_for_one_size_says_so():
    spec = read("vit_tiny_patch16_224")
    assert spec.smallest_image() == 224
    with pytest.raises(
        UserError, match=r"here 224x224, and cannot take 32x32. Try dataset.image_size=224 or backbone.image_size=32"
    ):
        spec.feature_shapes(32)


def test_without_timm_the_message_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr("visionkit.backbones.timm.spec.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"timm, .* is not installed. Try: pip install 'visionkit\[timm\]'"):
        read("resnet18")


def test_other_backbones_import_no_timm():
    code = (
        "import sys, visionkit.backbones as b; b.read_backbone('resnet18'); print({'timm', 'torch'} & {*sys.modules})"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"
