"""The worked cases of lectures and papers, layer by layer."""

import pytest

from tests.helpers.bare_networks import uninitialised
from visionkit.backbones import read_backbone
from visionkit.blocks import Conv, FeatureShape, MaxPool, Window, expand
from visionkit.heads import read_head
from visionkit.inspection.layers import layer_rows
from visionkit.inspection.network import trace_network


def rows_of(name, num_classes, *, depth=2, task="classify", head="auto", **overrides):
    spec = read_backbone(name, overrides=overrides)
    net = trace_network(spec, image_size=(spec.image_size, spec.image_size), head=read_head(head, task=task),
                  num_classes=num_classes)  # fmt: skip
    return {row.name: row for row in layer_rows(net, depth=depth)}


def test_the_first_convolution_of_lenet():
    row = rows_of("lenet", 10)["c1.conv"]
    assert row.output == [6, 28, 28]
    assert row.size_formula == "1 + (32 + 2*0 - 5)/1 = 28"
    assert (row.weights_per_neuron, row.weights_formula) == (26, "1 + 5*5*1 = 26")
    assert (row.neurons, row.connections, row.parameters) == (4_704, 122_304, 156)
    assert row.macs == 4_704 * 25
    assert row.activation_memory == 4 * 4_704
    assert (row.receptive_field, row.jump, row.offset) == (5, 1, 2.0)


def test_lenet_goes_32_28_14_10_5_400_120_84_10():
    layers = rows_of("lenet", 10)
    names = ["c1.conv", "c1.pool", "c3.conv", "c3.pool"]
    assert [layers[name].output[1] for name in names] == [28, 14, 10, 5]
    names = ["head.flatten", "head.hidden1", "head.hidden2", "head.output"]
    assert [layers[name].output[0] for name in names] == [400, 120, 84, 10]
    assert layers["head.flatten"].size_formula == "16*5*5 = 400"
    assert sum(row.parameters for row in layers.values()) == 61_706


def test_the_first_convolution_of_alexnet():
    row = rows_of("alexnet_2012", 1000)["c1.conv"]
    assert row.output == [96, 55, 55]
    assert (row.kernel_size, row.stride, row.padding) == ([11, 11], [4, 4], [2, 2])
    assert row.size_formula == "1 + (224 + 2*2 - 11)/4 = 55"
    assert (row.weights_per_neuron, row.weights_formula) == (364, "1 + 11*11*3 = 364")
    assert (row.neurons, row.connections, row.parameters) == (290_400, 105_705_600, 34_944)


def test_the_overlapping_pooling_of_alexnet_is_27_wide_and_has_no_parameters():
    row = rows_of("alexnet_2012", 1000)["c2.pool"]
    assert row.output == [96, 27, 27]
    assert (row.parameters, row.neurons, row.connections, row.macs, row.weights_per_neuron) == (0, 0, 0, 0, None)


def test_alexnet_has_the_neurons_of_the_paper():
    """Krizhevsky et al. 2012, section 3.5, count 253,440 in the first layer's figure; 55*55*96 are 290,400."""
    layers = rows_of("alexnet_2012", 1000)
    counts = [row.neurons for row in layers.values() if row.neurons]
    assert counts == [290_400, 186_624, 64_896, 64_896, 43_264, 4096, 4096, 1000]


@pytest.mark.parametrize("size", [5, 32, 227])
def test_a_3x3_convolution_with_zero_padding_keeps_its_size(size):
    _, after = expand(Conv(out_channels=4, kernel_size=3, padding=1), FeatureShape.image(3, size))
    assert after.chw == (4, size, size)
    assert Window(3, padding=1).formula(size) == f"1 + ({size} + 2*1 - 3)/1 = {size}"


def test_seven_by_nine_with_a_3x3_window_and_stride_2_gives_three_by_four():
    _, after = expand(MaxPool(kernel_size=3, stride=2), FeatureShape.image(1, (7, 9)))
    assert after.chw == (1, 3, 4)
    assert Window(3, 2).formula(9) == "1 + (9 + 2*0 - 3)/2 = 4"


@pytest.mark.parametrize(
    ("window", "size", "formula"),
    [
        (Window(3, 1, 2, 2), 10, "1 + (10 + 2*2 - 2*(3 - 1) - 1)/1 = 10"),
        (Window(3, 2, 0, 1, True), 6, "1 + ceil((6 + 2*0 - 3)/2) = 3"),
        (Window(2, 2, 1, 1, True), 5, "1 + ceil((5 + 2*1 - 2)/2) - 1 = 3"),
        (Window(2, 1, 0, padding_end=1), 5, "1 + (5 + 0 + 1 - 2)/1 = 5"),
    ],
)
def test_formulas_of_dilated_ceiled_and_uneven_windows_hold(window, size, formula):
    from math import ceil

    assert window.formula(size) == formula
    left, right = formula.split(" = ")
    assert int(eval(left.replace("/", "/" if "ceil" in left else "//"), {"ceil": ceil})) == int(right)


def test_a_block_of_several_layers_shows_no_kernel_of_one_and_the_sums_of_all():
    row = rows_of("resnet18", 1000)["layer1.blocks"]
    assert (row.type, row.kernel_size, row.size_formula, row.weights_per_neuron) == ("2 x basic", None, "", None)
    parts = [part for name, part in rows_of("resnet18", 1000, depth=9).items() if name.startswith("layer1.blocks")]
    for quantity in ("parameters", "macs", "neurons", "connections"):
        assert getattr(row, quantity) == sum(getattr(part, quantity) for part in parts), quantity


def test_from_squeeze_and_excitation_on_the_receptive_field_is_null_and_the_jump_is_known():
    row = rows_of("mobilenet_v3_small", 1000, depth=1)["stage1"]
    assert (row.receptive_field, row.jump) == (None, 4)


def test_a_kernel_that_is_not_square_sees_another_height_than_width():
    net = {"name": "net", "image_size": 16, "stages": {"a": {"conv": {
        "type": "conv", "out_channels": 2, "kernel_size": [3, 5]}}}}  # fmt: skip
    row = rows_of(net, 3)["a.conv"]
    assert (row.kernel_size, row.receptive_field, row.offset) == ([3, 5], [3, 5], [1.0, 2.0])
    assert row.size_formula == "1 + (16 + 2*0 - 3)/1 = 14; 1 + (16 + 2*0 - 5)/1 = 12"


def test_groups_look_at_their_own_channels_alone():
    row = rows_of("alexnet_2012", 1000)["c2.conv"]
    assert (row.weights_per_neuron, row.weights_formula) == (1201, "1 + 5*5*96/2 = 1201")
    assert row.parameters == 256 * 1201


@pytest.mark.parametrize("head", ["fcos", "retinanet"])
def test_neck_and_head_of_detection_are_counted_part_by_part_and_shared_weights_once(head):
    import torch

    from visionkit.models import create_model

    layers = rows_of("resnet18", 20, task="detect", head=head)
    with torch.device("meta"), uninitialised():
        model = create_model("detect", "resnet18", num_classes=20, head=head, image_size=(224, 224))
    for depth in (2, 9):
        found = rows_of("resnet18", 20, task="detect", head=head, depth=depth)
        for part, module in (("neck", model.neck), ("head", model.head)):
            expected = sum(parameter.numel() for parameter in module.parameters())
            assert sum(row.parameters for name, row in found.items() if name.startswith(part)) == expected
    assert layers["head.classification.stride8"].type == "4 x conv"
    assert layers["head.classification.stride8"].parameters > 0
    assert layers["head.classification.stride16"].parameters == 0
    assert layers["head.classification.stride16"].macs > 0
    assert layers["neck.lateral.stride8"].output == [256, 28, 28]
