"""Networks with neck and head, part by part, against the executed model."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from tests.helpers.bare_networks import meta_device
from visionkit.backbones import read_backbone
from visionkit.backbones.build import build_backbone
from visionkit.heads import read_head
from visionkit.inspection.explanations import explain
from visionkit.inspection.layers import layer_rows
from visionkit.inspection.network import trace_network
from visionkit.inspection.stages import stage_shares
from visionkit.inspection.totals import totals
from visionkit.models import create_model
from visionkit.settings import Sgd

SIZE = (64, 64)
SEGMENT = ["fcn", "deeplabv3", "deeplabv3plus", "unet", "fpn"]
BACKBONES = ["lenet", "resnet18", pytest.param("densenet121", marks=pytest.mark.slow)]


def network_of(task, head, backbone, **overrides):
    spec = read_head(head, task=task)
    return trace_network(
        spec.adapt_backbone(read_backbone(backbone, overrides=overrides)), image_size=SIZE, head=spec, num_classes=7
    )


def model_of(task, head, backbone):
    with meta_device():
        return create_model(task, backbone, num_classes=7, head=head, image_size=SIZE).eval()


def maps_of(model):
    channels = model.backbone.spec.in_channels
    features = model.backbone(torch.empty(1, channels, *SIZE, device="meta"))
    return features if model.neck is None else model.neck(features)


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("head", SEGMENT)
def test_every_layer_of_a_segmenter_is_that_of_the_module(head, backbone):
    net, model = network_of("segment", head, backbone), model_of("segment", head, backbone)
    shapes = {}
    for path, module in model.named_modules():
        module.register_forward_hook(
            lambda _, __, out, path=path: shapes.update({path: tuple(out.shape)} if torch.is_tensor(out) else {})
        )
    counter = FlopCounterMode(display=False)
    with meta_device(), counter, torch.no_grad():
        logits = model.head(maps_of(model), SIZE)["logits"]
    flops = {path: sum(counts.values()) for path, counts in counter.get_flop_counts().items()}
    names = {"backbone": "Backbone", "neck": "FPN", "head": "SegmentationHead"}
    layers = layer_rows(net, depth=99)
    assert tuple(layers[-1].output) == tuple(logits.shape[1:]) == (7, *SIZE)
    for row in layers:
        if row.name.endswith("_per_pixel"):
            assert (row.type, row.parameters, row.macs) == ("resize", 0, 0)
            continue
        path = row.name if row.name.startswith(("neck.", "head.")) else f"backbone.{row.name}"
        room, _, rest = path.partition(".")
        assert shapes[path][1:] == tuple(row.output), row.name
        assert sum(p.numel() for p in model.get_submodule(path).parameters()) == row.parameters, row.name
        assert flops.get(f"{names[room]}.{rest}", 0) == 2 * row.macs, row.name
    assert sum(row.macs for row in layers) == counter.get_total_flops() / 2
    assert sum(row.parameters for row in layers) == sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("head", ["fcos", "retinanet"])
def test_multiplications_and_parameters_of_a_detector_are_those_of_the_model(head, backbone):
    net, model = network_of("detect", head, backbone), model_of("detect", head, backbone)
    counter = FlopCounterMode(display=False)
    with meta_device(), counter, torch.no_grad():
        model.head(maps_of(model), SIZE)
    assert 2 * sum(part.macs for part in net.parts) == counter.get_total_flops()
    assert sum(part.parameters for part in net.parts) == sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize(("task", "head"), [("detect", "faster_rcnn"), ("instance", "mask_rcnn")])
def test_multiplications_of_both_stages_are_those_of_the_model_with_as_many_boxes(task, head, backbone):
    head = {"type": head, "proposals": 30, "max_detections": 20}
    net, model = network_of(task, head, backbone), model_of(task, head, backbone)
    counter = FlopCounterMode(display=False)
    with meta_device(), counter, torch.no_grad():
        model.head(maps_of(model), SIZE)
        second = model.head.roi_heads
        second.box_predictor(second.box_head(torch.empty(30, 256, 7, 7, device="meta")))
        if task == "instance":
            model.head.masks(torch.empty(20, 256, 14, 14, device="meta"))
    assert 2 * sum(part.macs for part in net.parts) == counter.get_total_flops()
    assert sum(part.parameters for part in net.parts) == sum(p.numel() for p in model.parameters())


def test_what_looks_at_each_box_has_neurons_and_connections_for_each_box():
    layers = {row.name: row for row in layer_rows(network_of("detect", {"type": "faster_rcnn"}, "resnet18"), depth=2)}
    row = layers["head.classes"]
    assert (row.runs, row.weights_per_neuron, row.neurons) == (1000, 1025, 1000 * 8)
    assert row.connections == 1000 * 8 * 1025
    assert row.macs == 1000 * 8 * 1024
    assert (layers["head.pooled"].type, layers["head.pooled"].output) == ("roi_align", [256, 7, 7])


def test_an_auxiliary_head_has_parameters_but_works_in_training_alone():
    plain = network_of("segment", "fcn", "resnet18")
    net = network_of("segment", {"type": "fcn", "auxiliary": {"weight": 0.4}}, "resnet18")
    sums = [totals(one, batch_size=1, optimizer=Sgd(weight_decay=0.0, momentum=0.9, nesterov=True))
            for one in (plain, net)]  # fmt: skip
    assert sums[1].parameters - sums[0].parameters == 64 * 9 * 256 + 2 * 64 + 7 * 65
    assert (sums[1].macs, sums[1].neurons) == (sums[0].macs, sums[0].neurons)
    assert sums[1].peak_inference_memory == sums[0].peak_inference_memory
    assert sums[1].peak_training_memory > sums[0].peak_training_memory
    assert {row.name: row.runs for row in layer_rows(net, depth=2)}["head.auxiliary"] == 0


def test_stages_that_no_head_reads_are_left_out_as_the_model_leaves_them_out():
    head = {"type": "fcos", "neck": {"num_levels": 2}}
    net, model = network_of("detect", head, "resnet18"), model_of("detect", head, "resnet18")
    assert [stage["name"] for stage in stage_shares(net)] == ["stem", "layer1", "layer2", "layer3", "neck", "head"]
    assert sum(part.parameters for part in net.parts) == sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("norm", ["group", "instance"])
def test_behind_a_norm_over_space_a_cell_depends_on_every_pixel(norm):
    spec = read_backbone("resnet20", overrides={"layer_defaults.norm": norm})
    row = layer_rows(trace_network(spec, image_size=(32, 32)), depth=9)[1]
    assert (row.type, row.receptive_field, row.jump) == (f"{norm}_norm", None, 1)
    torch.manual_seed(0)
    image = torch.rand(1, 3, 32, 32, dtype=torch.float64, requires_grad=True)
    build_backbone(spec, ["stem"]).double()(image)["stem"][0, :, 0, 0].square().sum().backward()
    assert (image.grad != 0).all()
    words = {one.kind: dict(one.lines) for one in explain(trace_network(spec, image_size=(32, 32)))}
    assert words[f"{norm} norm"]["sees"].startswith("the whole image from here on")
