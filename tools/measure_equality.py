"""Compares our networks with torchvision's of the same name, on the same weights, in float64.

Each torchvision model is initialised at random and then made well-behaved: affine parameters are mildly
randomised, and two batches of the compared images, in training mode without dropout and stochastic depth, set the
norm statistics (with those of other images the deepest nets explode). Its weights, renamed, go into ours.

Printed, and written with --json, are the largest difference of logits in units of their spread over images, and
the largest relative difference of a parameter's gradient. In float32 mere reordering moves deep nets by up to 1e-3.
"""

import argparse
import json
import platform
import time
import warnings
from pathlib import Path

import torch
import torchvision
from torch import Tensor, nn

from visionkit.backbones import list_backbones, read_backbone
from visionkit.backbones.weights.torchvision_names import torchvision_names
from visionkit.models import VisionModel, convert_state_dict, create_model
from visionkit.normalization import IMAGENET_MEAN, IMAGENET_STD

IMAGES = 4
SMALLEST_SIZE = {"inception_v3": 96}


def counterparts() -> list[str]:
    """The backbones that torchvision has too."""
    return [name for name in list_backbones() if read_backbone(name).torchvision]


def randomly_initialised(name: str, size: int = 64) -> nn.Module:
    """A torchvision model in float64 and evaluation mode whose every layer matters for images of a size in pixels."""
    torch.manual_seed(0)
    options = {"aux_logits": False, "init_weights": True} if name in ("googlenet", "inception_v3") else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model: nn.Module = getattr(torchvision.models, name)(weights=None, **options).double().train()
    momenta = {}
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d | nn.LayerNorm):
                module.weight.uniform_(0.8, 1.2)
                module.bias.uniform_(-0.2, 0.2)
            if isinstance(module, nn.BatchNorm2d):
                momenta[module], module.momentum = module.momentum, None  # the mean over both batches
            if isinstance(module, nn.Dropout | torchvision.ops.StochasticDepth):
                module.p = 0.0
            if hasattr(module, "layer_scale"):
                module.layer_scale.uniform_(0.1, 0.3)
        for _ in range(2 if momenta else 0):
            model(normalised(images(name, size)))
    for module, momentum in momenta.items():
        module.momentum = momentum
    return model.eval()


def model_with_weights_of(reference: nn.Module, name: str) -> VisionModel:
    """Our network of that name with the weights of torchvision's."""
    with torch.device("meta"):
        model = create_model("classify", name, num_classes=1000).double().eval()
    model.load_state_dict(convert_state_dict(reference.state_dict(), name), assign=True)
    model.normalize.to_empty(device="cpu")
    return model


def images(name: str, size: int = 64) -> Tensor:
    """(B, 3, H, W) uint8 of ``size`` or the smallest size that the network takes, the same each time."""
    size = max(size, SMALLEST_SIZE.get(name, 0))
    shape = (IMAGES, 3, size, size)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def normalised(pictures: Tensor) -> Tensor:
    """Images as torchvision's models take them, in float64, without any code of ours."""
    mean, std = (torch.tensor(v, dtype=torch.float64).view(3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))
    return (pictures.double() / 255 - mean) / std


def distance_of_logits(outputs: Tensor, expected: Tensor) -> float:
    """The largest difference of logits (B, K) in units of their spread over images."""
    return ((outputs - expected).abs().max() / expected.std(dim=0).mean()).item()


def distances(model: VisionModel, reference: nn.Module, name: str) -> tuple[float, float]:
    """The differences of two networks' logits and gradients.

    Returns:
        `distance_of_logits`, and the largest relative difference of a parameter's gradient for one scalar loss.
    """
    pictures = images(name)
    expected = reference(normalised(pictures))
    outputs = model(pictures)["logits"]
    direction = torch.randn(expected.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    for logits in (expected, outputs):
        (logits * direction).mean().backward()
    names = torchvision_names(model.state_dict(), model.backbone.spec)
    reference_parameters = dict(reference.named_parameters())
    gradients = []
    for key, parameter in model.named_parameters():
        expected_gradient = reference_parameters[names[key]].grad
        gradients.append((parameter.grad - expected_gradient).norm() / expected_gradient.norm())
    return distance_of_logits(outputs, expected), torch.stack(gradients).max().item()  # unlike max(), keeps a nan


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="backbones; all that torchvision has unless given")
    parser.add_argument("--json", type=Path, help="write the figures into this file")
    arguments = parser.parse_args()
    figures = {}
    for name in arguments.names or counterparts():
        start = time.perf_counter()
        reference = randomly_initialised(name)
        logits, gradients = distances(model_with_weights_of(reference, name), reference, name)
        figures[name] = {"logits": float(f"{logits:.1e}"), "gradients": float(f"{gradients:.1e}")}
        print(
            f"{name:24} logits {logits:.1e}  gradients {gradients:.1e}  {time.perf_counter() - start:5.1f} s",
            flush=True,
        )
    versions = {"python": platform.python_version(), "torch": torch.__version__, "torchvision": torchvision.__version__}
    print(f"{platform.processor() or platform.machine()}, {versions}")
    if arguments.json:
        arguments.json.write_text(json.dumps({"versions": versions, "backbones": figures}, indent=1) + "\n")


if __name__ == "__main__":
    main()
