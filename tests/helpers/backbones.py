"""The shipped backbones: several files choose their cases by what is in them, without reading them as a whole."""

import re
from functools import cache

import pytest
import yaml

from visionkit.backbones import list_backbones
from visionkit.backbones.files import backbone_file

SMALLEST_OF_EACH_FAMILY = [
    "airbench94", "alexnet", "alexnet_2012", "convnext_tiny", "densenet121", "densenet_bc_100_12", "efficientnet_b0",
    "efficientnet_v2_s", "googlenet", "inception_v3", "lenet", "mnasnet0_5", "mobilenet_v2", "mobilenet_v3_small",
    "plain20", "regnet_x_400mf", "regnet_y_400mf", "resnet18", "resnet20", "resnext50_32x4d", "shufflenet_v2_x0_5",
    "squeezenet1_0", "squeezenet1_1", "vgg11", "wide_resnet50_2",
]  # fmt: skip

LARGEST_OF_EACH_FAMILY = [
    "convnext_large", "densenet201", "efficientnet_b7", "efficientnet_v2_l", "mnasnet1_3", "mobilenet_v3_large",
    "plain56", "regnet_x_32gf", "regnet_y_32gf", "resnet110", "resnet152", "resnext101_64x4d", "shufflenet_v2_x2_0",
    "vgg19_bn", "wide_resnet101_2",
]  # fmt: skip
SMALLEST_AND_LARGEST = [
    *SMALLEST_OF_EACH_FAMILY,
    *(pytest.param(name, marks=pytest.mark.slow) for name in LARGEST_OF_EACH_FAMILY),
]
"""For what depends on the kinds of blocks, which the members of a family share; the largest are slow."""


@cache
def key_of_file(name: str, key: str) -> object:
    """The value of a key at the top of a shipped backbone's file; None if it is not there."""
    text = backbone_file(name).read_text(encoding="utf-8")
    found = re.search(rf"^{key}:.*\n(?:[ #\n].*\n?)*", text, re.MULTILINE)
    return yaml.safe_load(found.group())[key] if found else None


def torchvision_counterparts() -> list[str]:
    """The backbones that torchvision has too."""
    return [name for name in list_backbones() if key_of_file(name, "torchvision")]


def slow_unless_smallest(name: str, *others: object) -> object:
    """A case of a parametrised test that is slow unless its backbone is the smallest of a family."""
    return pytest.param(name, *others, marks=[] if name in SMALLEST_OF_EACH_FAMILY else pytest.mark.slow)
