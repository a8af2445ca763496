"""Our FCN and DeepLabv3 against torchvision's: same weights, same images, in float64; and its weights by name."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torchvision.models import segmentation

from tests.helpers.bare_networks import meta_device, uninitialised
from visionkit import UserError, create_model
from visionkit.models import convert_state_dict
from visionkit.normalization import IMAGENET_MEAN, IMAGENET_STD

CLASSES = 5
SIZE = (33, 46)
CASES = [
    pytest.param(
        head,
        backbone,
        id=f"{head}-{backbone}",
        marks=() if (head, backbone) == ("deeplabv3", "resnet50") else pytest.mark.slow,
    )
    for head in ("fcn", "deeplabv3")
    for backbone in ("resnet50", "resnet101")
]


def head_of(name, *, auxiliary=True):
    return {"type": name, "auxiliary": {"weight": 0.5} if auxiliary else None}


def of_torchvision(head, backbone, *, aux_loss=True):
    """Torchvision's, whose every layer matters and nothing in it is left to chance."""
    torch.manual_seed(0)
    make = getattr(segmentation, f"{head}_{backbone}")
    model = make(weights=None, weights_backbone=None, num_classes=CLASSES, aux_loss=aux_loss).double()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor, low, high in (("weight", 0.8, 1.2), ("bias", -0.2, 0.2), ("running_var", 0.8, 1.2)):
                getattr(module, tensor).data.uniform_(low, high)
            module.running_mean.normal_(0, 0.1)
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return model


def pair(head, backbone):
    """Ours and torchvision's, with the same weights."""
    theirs = of_torchvision(head, backbone)
    with uninitialised():
        ours = create_model("segment", backbone, num_classes=CLASSES, head=head_of(head)).double()
    ours.load_state_dict(convert_state_dict(theirs.state_dict(), backbone, task="segment", head=head_of(head)))
    for module in ours.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return ours, theirs


def batch():
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (2, 3, *SIZE), dtype=torch.uint8, generator=generator)
    mask = torch.randint(0, CLASSES, (2, *SIZE), dtype=torch.uint8, generator=generator)
    mask[:, :5] = 255
    return images, mask


def near(one, other):
    return (one - other).abs().max() <= 1e-9 * other.abs().max()


@pytest.mark.parametrize(("head", "backbone"), CASES)
def test_logits_equal_torchvisions(head, backbone):
    ours, theirs = (model.eval() for model in pair(head, backbone))
    images, _ = batch()
    with torch.no_grad():
        expected = theirs(ours.normalize(images))["out"]
        found = ours(images)["logits"]
    assert found.shape == expected.shape == (2, CLASSES, *SIZE)
    assert near(found, expected)


@pytest.mark.parametrize(("head", "backbone"), CASES)
def test_losses_and_gradients_in_training_equal_torchvisions(head, backbone):
    ours, theirs = (model.train() for model in pair(head, backbone))
    images, mask = batch()
    outputs = theirs(ours.normalize(images))
    main, side = (F.cross_entropy(outputs[key], mask.long(), ignore_index=255) for key in ("out", "aux"))
    (main + 0.5 * side).backward()
    losses = ours.loss(ours(images), {"mask": mask})
    sum(losses.values()).backward()
    torch.testing.assert_close(losses["cross_entropy"], main, rtol=1e-9, atol=0)
    torch.testing.assert_close(losses["auxiliary"], 0.5 * side, rtol=1e-9, atol=0)
    gradients = {name: p.grad for name, p in theirs.named_parameters()}
    buffers = {name: torch.zeros(()) for name, _ in theirs.named_buffers()}
    expected = convert_state_dict(gradients | buffers, backbone, task="segment", head=head_of(head))
    for name, parameter in ours.named_parameters():
        assert near(parameter.grad, expected[name]), name


def test_the_comparison_fails_at_another_output_stride():
    ours, theirs = (model.eval() for model in pair("fcn", "resnet50"))
    options = {**head_of("fcn"), "output_stride": 16}
    with uninitialised():
        other = create_model("segment", "resnet50", num_classes=CLASSES, head=options).double().eval()
    other.load_state_dict(ours.state_dict())
    images, _ = batch()
    with torch.no_grad():
        expected = theirs(ours.normalize(images))["out"]
        assert (other(images)["logits"] - expected).abs().max() > 1e-2 * expected.std()


@pytest.mark.parametrize("auxiliary", [True, False])
@pytest.mark.parametrize("head", ["fcn", "deeplabv3"])
def test_state_dict_goes_to_torchvision_and_back_unchanged(head, auxiliary):
    options = head_of(head, auxiliary=auxiliary)
    with meta_device():
        theirs = of_torchvision(head, "resnet50", aux_loss=auxiliary).state_dict()
    ours = convert_state_dict(theirs, "resnet50", task="segment", head=options)
    back = convert_state_dict(ours, "resnet50", task="segment", head=options, source="visionkit", target="torchvision")
    assert back.keys() == theirs.keys()
    assert all(back[key] is theirs[key] for key in theirs)


def test_torchvisions_auxiliary_classifier_is_left_out_where_the_head_has_none():
    with meta_device():
        theirs = of_torchvision("fcn", "resnet50").state_dict()
    ours = convert_state_dict(theirs, "resnet50", task="segment", head="fcn")
    assert len(ours) == sum(not key.startswith("aux_classifier.") for key in theirs)


@pytest.mark.parametrize("head", ["fcn", "deeplabv3"])
def test_published_weights_come_by_their_name(head, published):
    theirs = published.network(f"{head}_resnet50", weights_backbone=None, num_classes=21, aux_loss=True).state_dict()
    model = create_model("segment", "resnet50", num_classes=21, head=head_of(head), weights="coco")
    expected = convert_state_dict(theirs, "resnet50", task="segment", head=head_of(head))
    assert all(torch.equal(value, expected[key]) for key, value in model.state_dict().items())
    black = model.normalize(torch.zeros(1, 3, 1, 1, dtype=torch.uint8))
    assert black[0, 0].item() == pytest.approx(-IMAGENET_MEAN[0] / IMAGENET_STD[0])


def test_for_other_classes_the_output_layers_start_afresh(published, caplog):
    theirs = published.network("fcn_resnet50", weights_backbone=None, num_classes=21, aux_loss=True).state_dict()
    model = create_model("segment", "resnet50", num_classes=3, head=head_of("fcn"), weights="coco")
    assert "'coco' tells 21 classes apart, and here are 3" in caplog.text
    assert "(head.logits, head.auxiliary) is left out" in caplog.text
    assert model.head.logits.weight.shape[0] == 3
    assert torch.equal(model.head.hidden.conv.conv.weight, theirs["classifier.0.weight"])


@pytest.mark.parametrize("head", ["unet", "fcn"])
def test_a_run_with_an_auxiliary_head_starts_a_model_without(head, tmp_path):
    options = {"type": head, "auxiliary": {"weight": 0.4}}
    trained = create_model("segment", "resnet20", num_classes=4, head=options)
    torch.save(trained.state_dict(), tmp_path / "model.pth")
    model = create_model("segment", "resnet20", num_classes=4, head=head, weights=tmp_path / "model.pth")
    assert all(torch.equal(value, trained.state_dict()[key]) for key, value in model.state_dict().items())


def test_a_segmenters_backbone_starts_a_classifier_and_the_reverse(tmp_path):
    file = tmp_path / "model.pth"
    for source, target in (("segment", "classify"), ("classify", "segment"), ("segment", "detect")):
        trained = create_model(source, "resnet20", num_classes=4)
        torch.save(trained.state_dict(), file)
        backbone = {**_content("resnet20"), "weights": str(file)}
        model = create_model(target, backbone, num_classes=4)
        for key, value in model.backbone.state_dict().items():
            assert torch.equal(value, trained.backbone.state_dict()[key])


@pytest.mark.parametrize(
    ("backbone", "head", "message"),
    [
        ("resnet50", "unet", "'coco', but torchvision has published no weights of this head on resnet50. Expected a "
         "file, run:FOLDER, or torchvision's fcn or deeplabv3 on resnet50 or resnet101. Try: experiment=voc_fcn or"),
        ("resnet18", "fcn", "published no weights of this head on resnet18"),
        ("resnet50", {"type": "fcn", "output_stride": 16}, "published no weights of this head on resnet50"),
        ("resnet50", {"type": "deeplabv3", "channels": 128}, "published no weights of this head on resnet50"),
    ],
)  # fmt: skip
def test_weights_that_are_not_published_are_refused(backbone, head, message):
    with pytest.raises(UserError, match=message):
        create_model("segment", backbone, num_classes=21, head=head, weights="coco")


def test_weights_of_whole_classifiers_are_refused():
    with pytest.raises(
        UserError, match=r"but the task is 'segment'. For the backbone alone: backbone.weights=imagenet"
    ):
        create_model("segment", "resnet50", num_classes=21, weights="imagenet")


def test_a_head_without_counterpart_says_so():
    with pytest.raises(
        UserError, match=r"head unet has no counterpart in torchvision.*Heads that have one: deeplabv3, fcn"
    ):
        convert_state_dict({}, "resnet50", task="segment", head="unet")


def _content(name):
    from visionkit.backbones.files import backbone_file, load_backbone_file

    return load_backbone_file(backbone_file(name))
