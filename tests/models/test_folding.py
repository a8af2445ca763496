"""Folded models give what they gave before."""

import copy

import pytest
import torch
from torch import nn

from visionkit.models import create_model, fold_norms


def shaken(model):
    """A model whose norms have seen something."""
    generator = torch.Generator().manual_seed(0)
    for norm in (module for module in model.modules() if isinstance(module, nn.BatchNorm2d)):
        for tensor in (norm.running_mean, norm.weight.data, norm.bias.data):
            tensor += 0.2 * torch.randn(tensor.shape, generator=generator)
        norm.running_var *= 0.5 + torch.rand(norm.running_var.shape, generator=generator)
    return model.eval()


@pytest.mark.parametrize(
    ("task", "backbone", "left"),
    [
        ("classify", "resnet18", 0),
        ("classify", "mobilenet_v3_small", 0),
        ("classify", "densenet121", 120),  # whose norms stand before the convolutions, but for the first
        ("detect", "resnet18", 0),
        ("segment", "resnet18", 0),
    ],
)
def test_outputs_stay_the_same(task, backbone, left):
    model = shaken(create_model(task, backbone, num_classes=5, in_channels=3, image_size=64)).double()
    folded = fold_norms(copy.deepcopy(model))
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        before, after = model(images), folded(images)
    for name, value in before.items():
        torch.testing.assert_close(after[name], value, rtol=1e-5, atol=1e-5 * float(value.abs().max()))
    norms = [sum(isinstance(module, nn.BatchNorm2d) for module in each.modules()) for each in (model, folded)]
    assert norms[1] < norms[0]
    assert norms[1] == left


def test_a_convolution_with_two_norms_is_left_alone():
    conv = nn.Conv2d(3, 4, 1)
    model = nn.ModuleList([nn.Sequential(conv, nn.BatchNorm2d(4)), nn.Sequential(conv, nn.BatchNorm2d(4))])
    assert fold_norms(model)[0][0] is conv
    assert isinstance(model[1][1], nn.BatchNorm2d)
