"""Our networks against torchvision's, with torchvision's own weights renamed; see tools/measure_equality.py."""

import pytest
import torch
import torchvision

from tests.helpers.backbones import LARGEST_OF_EACH_FAMILY, torchvision_counterparts
from tests.helpers.bare_networks import meta_device, uninitialised
from tools import measure_equality
from tools.measure_equality import (
    counterparts,
    distance_of_logits,
    distances,
    images,
    normalised,
    randomly_initialised,
)
from visionkit.errors import UserError
from visionkit.models import convert_state_dict, create_model

SMALLEST = [  # of each family, but for VGG, whose classifier alone takes seconds
    "alexnet", "convnext_tiny", "densenet121", "efficientnet_b0", "googlenet", "inception_v3",
    "mnasnet0_5", "mobilenet_v2", "mobilenet_v3_small", "regnet_x_400mf", "regnet_y_400mf", "resnet18",
    "resnext50_32x4d", "shufflenet_v2_x0_5", "squeezenet1_0",
]  # fmt: skip
WITH_GRADIENTS = [*SMALLEST, *(pytest.param(name, marks=pytest.mark.slow) for name in ("vgg11", "efficientnet_v2_s"))]
BOTH_WAYS = [
    *SMALLEST,
    *(pytest.param(name, marks=pytest.mark.slow) for name in LARGEST_OF_EACH_FAMILY
      if name in torchvision_counterparts()),
]  # fmt: skip


@pytest.fixture(autouse=True)
def two_images(monkeypatch):
    """Half as many as the tool compares."""
    monkeypatch.setattr(measure_equality, "IMAGES", 2)


def model_with_weights_of(theirs, name):
    """As `tools.measure_equality.model_with_weights_of`."""
    with uninitialised():
        return measure_equality.model_with_weights_of(theirs, name)


@pytest.mark.parametrize("name", WITH_GRADIENTS)
def test_logits_and_gradients_equal_torchvisions(name):
    theirs = randomly_initialised(name)
    logits, gradients = distances(model_with_weights_of(theirs, name), theirs, name)
    assert logits < 1e-9
    assert gradients < 1e-7


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in torchvision_counterparts() if name not in SMALLEST])
def test_logits_of_larger_networks_equal_torchvisions_on_small_images(name):
    size = 64 if name.startswith("efficientnet") else 32  # the deepest explode on maps of one cell
    theirs, pictures = randomly_initialised(name, size), images(name, size)
    with torch.no_grad():
        expected = theirs(normalised(pictures))
        outputs = model_with_weights_of(theirs, name)(pictures)["logits"]
    assert expected.std(dim=0).mean() > 1e-4
    assert distance_of_logits(outputs, expected) < 1e-9


@pytest.mark.parametrize("name", BOTH_WAYS)
def test_state_dict_goes_to_torchvision_and_back_unchanged(name):
    """On the meta device: names and shapes are compared, and which tensor goes where."""
    options = {"aux_logits": False, "init_weights": False} if name in ("googlenet", "inception_v3") else {}
    with meta_device():
        ours = create_model("classify", name, num_classes=1000).state_dict()
    # torchvision computes the widths of RegNets with tensors, which need values
    with uninitialised() if name.startswith("regnet") else meta_device():
        counterpart = getattr(torchvision.models, name)(weights=None, **options)
    theirs = convert_state_dict(ours, name, source="visionkit", target="torchvision")
    assert set(theirs) == set(counterpart.state_dict())
    counterpart.load_state_dict(theirs, assign=True)
    back = convert_state_dict(theirs, name)
    assert list(back) == list(ours)
    assert all(back[key] is ours[key] for key in ours)


def test_every_classification_cnn_of_torchvision_has_a_counterpart():
    """All but the transformers and the one RegNet that is far larger than the rest."""
    known = set(torchvision.models.list_models(module=torchvision.models))
    transformers = {name for name in known if name.startswith(("vit", "swin", "maxvit"))}
    assert known - transformers - set(counterparts()) == {"regnet_y_128gf"}


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small"])
def test_the_comparison_fails_for_a_net_that_ignores_its_input(name):
    theirs = randomly_initialised(name)
    ours = model_with_weights_of(theirs, name)
    ours.register_forward_pre_hook(lambda module, inputs: (torch.full_like(inputs[0], 128),))
    logits, gradients = distances(ours, theirs, name)
    assert logits > 1e-2
    assert gradients > 1e-2


def test_the_comparison_fails_for_one_swapped_layer():
    theirs = randomly_initialised("resnet18")
    ours = model_with_weights_of(theirs, "resnet18")
    block = ours.backbone.layer4.blocks[1].residual.body
    block.conv1.conv.weight, block.conv2.conv.weight = block.conv2.conv.weight, block.conv1.conv.weight
    logits, _ = distances(ours, theirs, "resnet18")
    assert logits > 1e-4


def test_the_comparison_fails_where_a_parameter_gets_no_gradient():
    theirs = randomly_initialised("mnasnet0_5")
    ours = model_with_weights_of(theirs, "mnasnet0_5")
    ours.backbone.stem.conv.norm.bias.register_hook(torch.zeros_like)
    assert distances(ours, theirs, "mnasnet0_5")[1] > 0.9


def test_pools_left_out_by_another_stem_do_not_shift_torchvisions_numbers():
    vgg = create_model("classify", "vgg11", num_classes=1000).state_dict()
    from visionkit.backbones.files import backbone_file, load_backbone_file

    small = {**load_backbone_file(backbone_file("vgg11")), "stem": "small"}
    theirs = convert_state_dict(vgg, "vgg11", source="visionkit", target="torchvision")
    assert list(convert_state_dict(theirs, small)) == list(vgg)


def test_names_left_over_or_missing_are_listed():
    state = dict(torchvision.models.resnet18(weights=None).state_dict())
    state["aux.weight"] = state.pop("fc.weight")
    with pytest.raises(UserError, match=r"missing \(1\).*fc.weight.*left over \(1\).*aux.weight"):
        convert_state_dict(state, "resnet18")


def test_a_backbone_without_counterpart_says_so():
    with pytest.raises(UserError, match="backbone lenet has no counterpart in torchvision"):
        convert_state_dict({}, "lenet")
