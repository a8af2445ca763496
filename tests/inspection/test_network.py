"""Every number of a layer against the executed model: hooks, torch's own counter, the footprint of a gradient."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from tests.helpers.bare_networks import meta_device, uninitialised
from visionkit.backbones import create_backbone, list_backbones, read_backbone
from visionkit.heads import read_head
from visionkit.inspection.layers import layer_rows
from visionkit.inspection.network import trace_network
from visionkit.layers import Pointwise
from visionkit.models import create_model

QUICK = {
    "lenet", "alexnet_2012", "resnet18", "plain20", "squeezenet1_1", "mobilenet_v3_small", "shufflenet_v2_x0_5",
    "convnext_tiny",
}  # fmt: skip
EVERY = [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in list_backbones()]
ALL_LEVELS = 99


def network_of(name, num_classes=10):
    spec = read_backbone(name)
    head = read_head("auto", task="classify")
    return trace_network(spec, image_size=(spec.image_size, spec.image_size), head=head, num_classes=num_classes)


@pytest.mark.parametrize("name", EVERY)
def test_shapes_weights_and_multiplications_of_every_layer_are_those_of_the_module(name):
    net = network_of(name)
    with meta_device():
        model = create_model("classify", name, num_classes=10).eval()
    shapes = {}
    for path, module in model.named_modules():
        module.register_forward_hook(
            lambda _, __, out, path=path: shapes.update({path: out.shape} if isinstance(out, torch.Tensor) else {})
        )
    counter = FlopCounterMode(display=False)
    with meta_device(), counter, torch.no_grad():
        model.head(model.backbone(torch.empty(1, *net.input)), net.image_size)
    flops = {path: sum(counts.values()) for path, counts in counter.get_flop_counts().items()}
    layers = layer_rows(net, depth=ALL_LEVELS)
    assert len(layers) > 5
    for row in layers:
        path = f"head.layers.{row.name.partition('.')[2]}" if row.name.startswith("head") else f"backbone.{row.name}"
        module = model.get_submodule(path)
        out = tuple(shapes[path][1:])
        assert (*out, 1, 1)[:3] == tuple(row.output), row.name
        assert sum(parameter.numel() for parameter in module.parameters()) == row.parameters, row.name
        root = "Backbone" if path.startswith("backbone") else "ClassificationHead"
        assert flops.get(f"{root}.{path.partition('.')[2]}", 0) == 2 * row.macs, row.name
        assert row.activation_memory == 4 * torch.Size(out).numel()
        if isinstance(module, nn.Conv2d | nn.Linear):
            per_neuron = module.weight[0].numel() + (module.bias is not None)
            assert (row.weights_per_neuron, row.neurons) == (per_neuron, torch.Size(out).numel()), row.name
            assert row.connections == per_neuron * row.neurons
        else:
            assert (row.weights_per_neuron, row.neurons, row.connections) == (None, 0, 0), row.name
    assert sum(row.macs for row in layers) == counter.get_total_flops() / 2


LOOKS_AT_ITS_OWN_CELL = (
    nn.ReLU, nn.ReLU6, nn.Tanh, nn.GELU, nn.Hardswish, nn.SiLU, nn.BatchNorm2d, nn.LayerNorm, nn.LocalResponseNorm,
)  # fmt: skip


class Averaging(nn.Module):
    """What a convolution does whose weights are all alike: its filters agree, so one is worked out for all of them."""

    def __init__(self, conv):
        super().__init__()
        self.out_channels = conv.weight.shape[0]
        self.kernel_size = getattr(conv, "kernel_size", (1, 1))
        self.window = [getattr(conv, key, default) for key, default in (("stride", 1), ("padding", 0), ("dilation", 1))]

    def forward(self, x):
        weight = x.new_full((1, 1, *self.kernel_size), 1 / (self.kernel_size[0] * self.kernel_size[1]))
        out = nn.functional.conv2d(x.mean(1, keepdim=True), weight, None, *self.window)
        return out.expand(-1, self.out_channels, -1, -1)


def make_linear(backbone):
    """Positive weights that are all alike, means for maxima, and no layer that looks at its own cell alone."""
    for module in list(backbone.modules()):
        if hasattr(module, "inplace"):
            module.inplace = False
        for name, child in module.named_children():
            if isinstance(child, nn.MaxPool2d):
                mean = nn.AvgPool2d(child.kernel_size, child.stride, child.padding, ceil_mode=child.ceil_mode)
                setattr(module, name, mean)
            elif isinstance(child, LOOKS_AT_ITS_OWN_CELL):
                setattr(module, name, nn.Identity())
            elif isinstance(child, nn.Conv2d | Pointwise):
                setattr(module, name, Averaging(child))
    return backbone.requires_grad_(False)


def last_known_view(name):
    """The last stage whose cells do not see the whole image yet."""
    spec = read_backbone(name)
    found = [
        row
        for row in layer_rows(trace_network(spec, image_size=(8192, 8192)), depth=1)
        if row.receptive_field is not None
    ]
    return found[-1] if found else None


def footprints(backbone, stage, size, cells, *, axis):
    """First and last pixel, along an axis, that each of these cells of a stage's map depends on."""
    narrow = max(backbone.spec.smallest_image(), 32)
    shape = (size, narrow) if axis == 2 else (narrow, size)
    image = torch.zeros(1, backbone.spec.in_channels, *shape, dtype=torch.float64, requires_grad=True)
    out = backbone(image)[stage]
    ends = []
    for cell in cells:
        (gradient,) = torch.autograd.grad(out.select(axis, cell).sum(), image, retain_graph=True)
        pixels = gradient.abs().sum(dim=[i for i in range(4) if i != axis]).nonzero().flatten()
        ends.append((pixels.min().item(), pixels.max().item()))
    return ends


@pytest.mark.parametrize(
    "name", [name if name in QUICK - {"convnext_tiny", "resnet18"} else pytest.param(name, marks=pytest.mark.slow)
             for name in list_backbones()]
)  # fmt: skip
def test_receptive_field_jump_and_offset_are_the_footprint_of_a_gradient(name):
    row = last_known_view(name)
    if row is None:
        assert name.startswith(("regnet_y", "efficientnet"))  # gates from the first stage on
        return
    torch.manual_seed(0)
    with uninitialised():
        backbone = make_linear(create_backbone(name, out_features=[row.name]).eval().double())
    first = -(-row.receptive_field // row.jump)
    size = int(row.offset + (first + 1) * row.jump + row.receptive_field + row.jump)
    for axis in (2, 3) if name in QUICK else (2,):
        ends = footprints(backbone, row.name, size, (first, first + 1), axis=axis)
        assert [last - begin + 1 for begin, last in ends] == [row.receptive_field] * 2
        assert ends[1][0] - ends[0][0] == row.jump
        assert sum(ends[0]) / 2 == row.offset + first * row.jump


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "regnet_y_400mf"])
def test_behind_a_gate_a_cell_depends_on_every_pixel(name):
    stage = layer_rows(trace_network(read_backbone(name), image_size=(224, 224)), depth=1)[1]
    assert stage.receptive_field is None
    assert stage.jump is not None
    torch.manual_seed(0)
    backbone = make_linear(create_backbone(name, out_features=[stage.name]).eval().double())
    image = torch.rand(1, 3, 64, 64, dtype=torch.float64, requires_grad=True)
    backbone(image)[stage.name][0, :, 0, 0].sum().backward()
    assert (image.grad != 0).all()
