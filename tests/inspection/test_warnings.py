"""Each warning where it is due, and none where it is not."""

import pytest

from visionkit.backbones import read_backbone
from visionkit.heads import read_head
from visionkit.inspection.network import trace_network
from visionkit.inspection.warnings import warnings

DUE = [
    ("resnet18", {}, 32, "the last map, of stage layer4, has 1x1 cells: less than 2x2"),
    ("resnet18", {}, 32, "such as backbone.stem=small"),
    ("lenet", {}, 64, "sees 16 pixels, less than half of the image's 64"),
    ("resnet110", {}, 32, "could see 501 pixels, 16 times the image's 32"),
    ("vgg16", {}, 224, "head holds 89 % of all parameters (123,642,856). Try head=linear"),
    ("regnet_x_400mf", {}, 224, "block4 holds 82 % of all parameters (4,528,800)."),
    ("plain56", {"layer_defaults.norm": "none"}, 32, "56 layers with weights follow each other without norm or skip"),
    ("lenet", {"layer_defaults.init": "kaiming_normal"}, 32, "tanh saturates, and init kaiming_normal of c1.conv.conv"),
    ("lenet", {"layer_defaults.init": "default"}, 32, "torch's default lets the signal fade"),
    ("lenet", {"layer_defaults.init": {"type": "normal", "std": 0.01}}, 32, "its scale knows nothing of how many"),
    ("resnet20", {"layer_defaults": {"norm": "none", "activation": "sigmoid", "init": "kaiming_uniform"}}, 32,
     "sigmoid saturates, and init kaiming_uniform of"),
]  # fmt: skip
NOT_DUE = [
    ("resnet18", {}, 224),
    ("resnet18", {"stem": "small"}, 64),
    ("mobilenet_v3_small", {}, 224),  # its gates saturate on purpose
    ("plain20", {"layer_defaults.norm": "none"}, 32),  # 20 layers are not more than 20
    ("plain56", {}, 32),
    ("resnet56", {"layer_defaults.norm": "none"}, 32),
    ("densenet_bc_100_12", {"layer_defaults.norm": "none"}, 32),
    ("resnet20", {"layer_defaults.activation": "tanh"}, 32),  # norms set the scale
]


def warnings_of(name, overrides, size):
    spec = read_backbone(name, overrides=overrides)
    head = read_head("auto", task="classify")
    net = trace_network(spec, image_size=(size, size), head=head, num_classes=10 if size < 200 else 1000)
    return warnings(net)


@pytest.mark.parametrize(("name", "overrides", "size", "words"), DUE)
def test_a_warning_that_is_due_is_given(name, overrides, size, words):
    assert any(words in warning for warning in warnings_of(name, overrides, size))


@pytest.mark.parametrize(("name", "overrides", "size"), NOT_DUE)
def test_a_sound_network_is_warned_of_nothing(name, overrides, size):
    assert warnings_of(name, overrides, size) == []


@pytest.mark.parametrize("init", ["xavier_normal", "orthogonal", {"type": "kaiming_normal", "nonlinearity": "tanh"}])
def test_initialisations_made_for_tanh_suit_it(init):
    found = warnings_of("lenet", {"layer_defaults.init": init}, 32)
    assert not any("saturates" in warning for warning in found)
