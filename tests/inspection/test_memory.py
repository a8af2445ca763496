"""The lives of maps, against the storages that an executed model makes and lets go."""

import weakref

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tests.helpers.backbones import LARGEST_OF_EACH_FAMILY, SMALLEST_OF_EACH_FAMILY
from tests.helpers.bare_networks import uninitialised
from visionkit.backbones import load_backbone_file, read_backbone
from visionkit.backbones.files import backbone_file
from visionkit.blocks import Conv, FeatureShape, Sequential, expand, trace
from visionkit.blocks.normalization import NORMS
from visionkit.heads import read_head
from visionkit.inspection.memory import estimate_memory
from visionkit.models import create_model

BATCH = 37
"""No number of channels is a multiple of it, so a storage of a map is told from one of a weight by its first axis."""
TOLERANCE = 0.005
"""The statistics that norms keep of each channel are numbers of the batch, not of an image, and are not counted."""


class Lives(TorchDispatchMode):
    """Counts the bytes of all maps that are alive, and the most so far."""

    def __init__(self):
        super().__init__()
        self.live = self.peak = 0
        self._alive = {}

    def add(self, tensor):
        storage = tensor.untyped_storage()
        if not tensor.ndim or tensor.shape[0] % BATCH or id(storage) in self._alive:
            return
        key, size = id(storage), storage.nbytes()

        def gone(_):
            self.live -= size
            del self._alive[key]

        self._alive[key] = weakref.ref(storage, gone)
        self.live += size
        self.peak = max(self.peak, self.live)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, torch.Tensor):
                self.add(leaf)
        return out


def records_of(backbone, num_classes):
    spec = read_backbone(backbone)
    size = (spec.image_size, spec.image_size)
    head = read_head("auto", task="classify").trace(spec, num_classes=num_classes, image_size=size)
    return [*spec.trace(size).children, *head]


def executed(backbone, num_classes):
    """Bytes for one image: the peak of inference, that of training, and what waits at the end of forward."""
    spec = read_backbone(backbone)
    size = (spec.image_size, spec.image_size)
    with torch.device("meta"), uninitialised():
        model = create_model("classify", backbone, num_classes=num_classes)
    images = torch.empty(BATCH, spec.in_channels, *size, device="meta")
    with Lives() as inference, torch.no_grad():
        inference.add(images)
        model.eval().head(model.backbone(images), size)
    with Lives() as training:
        training.add(images)
        logits = model.train().head(model.backbone(images), size)["logits"]
        waiting = training.live
        logits.backward(torch.empty_like(logits))
    return inference.peak / BATCH, training.peak / BATCH, waiting / BATCH


def assert_as_executed(backbone, num_classes):
    memory = estimate_memory(records_of(backbone, num_classes))
    image = records_of(backbone, num_classes)[0].before.nbytes
    inference, training, waiting = executed(backbone, num_classes)
    assert memory.inference == pytest.approx(inference, rel=TOLERANCE)
    assert memory.training == pytest.approx(training, rel=TOLERANCE)
    assert sum(memory.saved.values()) + image == pytest.approx(waiting, rel=TOLERANCE)


QUICK = {"lenet", "alexnet_2012", "alexnet", "resnet18", "mobilenet_v2", "squeezenet1_1", "plain20"}


@pytest.mark.parametrize(
    "name",
    [
        name if name in QUICK else pytest.param(name, marks=pytest.mark.slow)
        for name in [*SMALLEST_OF_EACH_FAMILY, *LARGEST_OF_EACH_FAMILY]
    ],
)
def test_peaks_and_what_waits_for_backward_are_those_of_the_executed_model(name):
    assert_as_executed(name, 10)


ACTIVATIONS = ["relu", "relu6", "leaky_relu", "silu", "hardswish", "hardsigmoid", "gelu", "tanh", "sigmoid"]


@pytest.mark.parametrize("norm", [*NORMS.names(), "none"])
@pytest.mark.parametrize(
    "activation", [a if a in ("relu", "silu", "tanh") else pytest.param(a, marks=pytest.mark.slow) for a in ACTIVATIONS]
)
def test_every_norm_and_activation_keeps_what_torch_keeps(norm, activation):
    """Instance norm repeats its weight for every image, layer norm copies gradients into its own order: 1 % here."""
    content = dict(load_backbone_file(backbone_file("resnet20")))
    content["layer_defaults"] = {"norm": norm, "activation": activation, "init": "default"}
    memory = estimate_memory(records_of(content, 10))
    found = executed(content, 10)
    tolerance = 0.02 if norm in ("instance", "layer") else TOLERANCE
    assert memory.inference == pytest.approx(found[0], rel=tolerance)
    assert memory.training == pytest.approx(found[1], rel=tolerance)


@pytest.mark.parametrize(
    "change",
    [
        {"drop": {"type": "dropout", "p": 0.3}},
        {"even": {"type": "conv", "out_channels": 8, "kernel_size": 3, "bias": False}},
        {"gate": {"type": "squeeze_excitation"}, "act": {"type": "activation", "name": "relu"}},
        {"unit": {"type": "shuffle_unit", "out_channels": 8, "norm": "batch", "activation": "relu"}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_other_layers_keep_what_torch_keeps(change):
    first = {"type": "conv", "out_channels": 8, "kernel_size": 3, "padding": 1}
    last = {"type": "conv", "out_channels": 12, "kernel_size": 1, "norm": "batch"}
    net = {"name": "net", "image_size": 32, "stages": {"a": {"conv": first, **change, "last": last}}}
    assert_as_executed(net, 10)


@pytest.mark.parametrize("classifier", [{"pool": "max"}, {"pool": 2, "hidden": [8]}, {"output": "conv"}], ids=str)
def test_classifiers_keep_what_torch_keeps(classifier):
    conv = {"type": "conv", "out_channels": 64, "kernel_size": 3}
    assert_as_executed({"name": "net", "image_size": 16, "stages": {"a": {"conv": conv}}, "classifier": classifier}, 10)


def test_a_kernel_of_even_size_whose_stride_was_taken_away_holds_a_padded_copy():
    even = {"type": "conv", "out_channels": 8, "kernel_size": 2, "stride": 2}
    net = {"name": "net", "image_size": 32, "output_stride": 8,
           "stages": {f"s{i}": {"conv": even} for i in range(5)}}  # fmt: skip
    assert_as_executed(net, 10)


class Loss(torch.autograd.Function):
    """A loss whose gradients nobody holds but backward."""

    @staticmethod
    def forward(ctx, *outputs):
        ctx.shapes = [output.shape for output in outputs]
        return outputs[0].new_zeros(())

    @staticmethod
    def backward(ctx, gradient):
        return tuple(gradient.new_empty(shape) for shape in ctx.shapes)


def executed_whole(model, in_channels, size):
    """As `executed`, of a model that may have a neck and several outputs."""

    def run(x):
        x = model.backbone(x)
        if model.neck is not None:
            x = model.neck(x)
        outputs = model.head(x, size)
        return [x for name, x in outputs.items() if x.is_floating_point() and "level" not in name]

    images = torch.empty(BATCH, in_channels, *size, device="meta")
    model.eval()
    with Lives() as inference, torch.no_grad():
        inference.add(images)
        run(images)
    model.train()
    with Lives() as training:
        training.add(images)
        outputs = run(images)
        waiting = training.live
        Loss.apply(*(output for output in outputs if output.requires_grad)).backward()
    return inference.peak / BATCH, training.peak / BATCH, waiting / BATCH


def assert_whole_as_executed(task, head, backbone, *, inference=TOLERANCE, training, kept=0.02):
    size = (96, 96)
    spec = read_head(head, task=task)
    settled = spec.adapt_backbone(read_backbone(backbone))
    parts = spec.trace(settled, num_classes=21, image_size=size)
    first_stage = [part for part in parts if part.runs <= 1]  # what comes behind depends on what is found
    memory = estimate_memory([*settled.trace(size).children, *first_stage], out_features=spec.out_features(settled))
    with torch.device("meta"), uninitialised():
        model = create_model(task, backbone, num_classes=21, head=head, image_size=size)
    found = executed_whole(model, settled.in_channels, size)
    image = 4 * settled.in_channels * size[0] * size[1]
    assert memory.inference == pytest.approx(found[0], rel=inference)
    assert memory.training == pytest.approx(found[1], rel=training)
    assert sum(memory.saved.values()) + image == pytest.approx(found[2], rel=kept)


@pytest.mark.parametrize(
    "head", ["fcn", "deeplabv3", "deeplabv3plus", "unet", "fpn", {"type": "fcn", "auxiliary": {"weight": 0.4}}], ids=str
)
def test_peaks_of_a_segmenter_are_those_of_the_executed_model(head):
    """What joins and enlarges maps is counted. In backward a slice of a stack of maps waits a little longer: 5 %."""
    assert_whole_as_executed("segment", head, "resnet18", training=0.05)


@pytest.mark.parametrize("head", ["fcos", "retinanet", "faster_rcnn"])
def test_peaks_of_a_detector_are_nearly_those_of_the_executed_model(head):
    """What is made of the last maps, one list of all places, is not counted: within 10 %."""
    assert_whole_as_executed("detect", head, "resnet18", inference=0.1, training=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["lenet", "mobilenet_v3_small", "densenet121"])
@pytest.mark.parametrize("head", ["deeplabv3plus", "unet", "fpn"])
def test_peaks_of_a_segmenter_hold_for_other_backbones(head, backbone):
    """LeNet's maps, which are not padded, are drawn out to the image's edges first: 7 % in training, 3 % kept."""
    assert_whole_as_executed("segment", head, backbone, inference=0.07, training=0.07, kept=0.03)


def test_what_looks_at_each_box_takes_memory_for_each_box():
    """By hand: 50 boxes of 7x7x256 are pooled, flattened in place, and 1,024 numbers are made of each, twice."""
    from visionkit.inspection.network import trace_network

    head = read_head({"type": "mask_rcnn", "sampled_proposals": 50, "proposals": 50}, task="instance")
    net = trace_network(read_backbone("resnet18"), image_size=(64, 64), head=head, num_classes=5)
    kept = {path[1]: size for path, size in net.saved_memory.items() if path[0] == "head" and len(path) == 2}
    assert kept["pooled"] == 50 * 4 * 7 * 7 * 256
    assert kept["hidden"] == 50 * 4 * (1024 + 1024)
    assert kept["classes"] == 50 * 4 * 6
    assert kept["pooled_for_masks"] == 12 * 4 * 14 * 14 * 256  # a quarter of them at most are objects


def test_lenet_at_the_worst_moment_of_inference_by_hand():
    """The image (held by the caller), the first convolution's 28x28x6 map, and its tanh: 1,024 + 2*4,704 numbers."""
    assert estimate_memory(records_of("lenet", 10)).inference == 4 * (1024 + 2 * 4704)


def test_a_layer_that_nothing_learns_through_keeps_nothing():
    from visionkit.blocks import MaxPool

    tree, _ = expand(Sequential({"pool": MaxPool(kernel_size=2), "conv": Conv(out_channels=2, kernel_size=1)}),
                     FeatureShape.image(1, 8))  # fmt: skip
    kept = estimate_memory([trace(tree, FeatureShape.image(1, 8), path=("a",))]).saved
    assert kept == {("a", "pool"): 4 * 16, ("a", "conv", "conv"): 4 * 32}
