"""Our networks against torchvision's, with torchvision's own weights renamed."""

import pytest
import torch
import torchvision

from visionkit.errors import UserError
from visionkit.models import convert_state_dict, create_model
from visionkit.normalization import IMAGENET_MEAN, IMAGENET_STD

PAIRS = ["resnet18", "resnet34", "resnet50", "densenet121", "alexnet"]


def randomly_initialised(name):
    """A torchvision model whose norm statistics come from two batches, and whose affine parameters are not 1 and 0."""
    torch.manual_seed(0)
    model = getattr(torchvision.models, name)(weights=None).double().train()
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.weight.uniform_(0.8, 1.2)
                module.bias.uniform_(-0.2, 0.2)
        for _ in range(2):
            model(torch.randn(8, 3, 64, 64, dtype=torch.float64))
    return model.eval()


def distance(ours, theirs, images):
    """The largest difference of logits, in units of their spread over images."""
    mean, std = (torch.tensor(v, dtype=torch.float64).view(3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))
    with torch.no_grad():
        expected = theirs((images.double() / 255 - mean) / std)
        found = ours(images)["logits"]
    return ((found - expected).abs().max() / expected.std(dim=0).mean()).item()


@pytest.fixture(scope="module")
def images():
    return torch.randint(0, 256, (4, 3, 96, 96), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", PAIRS)
def test_logits_equal_torchvisions_within_1e_9_of_their_spread(name, images):
    theirs = randomly_initialised(name)
    ours = create_model("classify", name, num_classes=1000).double().eval()
    ours.load_state_dict(convert_state_dict(theirs.state_dict(), name))
    assert distance(ours, theirs, images) < 1e-9


@pytest.mark.parametrize("name", PAIRS)
def test_state_dict_goes_to_torchvision_and_back_unchanged(name):
    ours = create_model("classify", name, num_classes=1000).state_dict()
    theirs = convert_state_dict(ours, name, source="visionkit", target="torchvision")
    getattr(torchvision.models, name)(weights=None).load_state_dict(theirs)
    back = convert_state_dict(theirs, name)
    assert list(back) == list(ours)
    assert all(back[key] is ours[key] for key in ours)


def test_the_comparison_fails_for_a_net_that_ignores_its_input(images):
    theirs = randomly_initialised("resnet18")
    ours = create_model("classify", "resnet18", num_classes=1000).double().eval()
    ours.load_state_dict(convert_state_dict(theirs.state_dict(), "resnet18"))
    ours.register_forward_pre_hook(lambda module, inputs: (torch.full_like(inputs[0], 128),))
    assert distance(ours, theirs, images) > 1e-2


def test_the_comparison_fails_for_one_swapped_layer(images):
    theirs = randomly_initialised("resnet18")
    ours = create_model("classify", "resnet18", num_classes=1000).double().eval()
    state = convert_state_dict(theirs.state_dict(), "resnet18")
    one, other = (f"backbone.layer4.blocks.1.residual.body.conv{i}.conv.weight" for i in (1, 2))
    state[one], state[other] = state[other], state[one]
    ours.load_state_dict(state)
    assert distance(ours, theirs, images) > 1e-4


def test_names_left_over_or_missing_are_listed():
    state = dict(torchvision.models.resnet18(weights=None).state_dict())
    state["aux.weight"] = state.pop("fc.weight")
    with pytest.raises(UserError, match=r"missing \(1\) \['fc.weight'\], left over \(1\) \['aux.weight'\]"):
        convert_state_dict(state, "resnet18")


def test_a_backbone_without_counterpart_says_so():
    with pytest.raises(UserError, match="backbone lenet has no counterpart in torchvision"):
        convert_state_dict({}, "lenet")
