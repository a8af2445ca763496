"""Explanations are right in what they say, and there is one for every kind of layer of every backbone."""

import math
import re

import pytest

from visionkit.backbones import list_backbones, read_backbone
from visionkit.blocks import BLOCKS
from visionkit.heads import read_head
from visionkit.inspection.explanations import explain
from visionkit.inspection.network import trace_network


def explained(name, num_classes=10, **overrides):
    spec = read_backbone(name, overrides=overrides)
    head = read_head("auto", task="classify")
    net = trace_network(spec, image_size=(spec.image_size, spec.image_size), head=head, num_classes=num_classes)
    return {one.kind: dict(one.lines) for one in explain(net)}


def test_the_first_convolution_of_alexnet_as_on_the_board():
    lines = explained("alexnet_2012", 1000)["convolution"]
    assert lines["what"].startswith("96 filters of 11x11, each over all 3 channels; they slide over the 224x224x3 map")
    assert lines["size"] == "1 + (W + 2P - F)/S = 1 + (224 + 2*2 - 11)/4 = 55, rounded down"
    assert lines["weights"] == "1 + 11*11*3 = 364 per neuron: one per number it looks at and a bias"
    assert lines["neurons"] == "55*55*96 = 290,400"
    assert lines["connections"] == "290,400*364 = 105,705,600"
    assert lines["parameters"] == "96*364 = 34,944: the neurons of a map share their weights"
    assert lines["MACs"] == "290,400*363 = 105,415,200 multiplications with a weight per image"
    assert lines["sees"] == "1 + (11 - 1)*1 = 11 pixels (receptive field)"
    assert lines["jump"] == "1*4 = 4 pixels from one cell to the next"
    assert lines["offset"] == "0 + ((11 - 1)/2 - 2)*1 = 3, the pixel under the middle of the first cell"


def test_each_kind_of_layer_is_explained_once():
    kinds = list(explained("alexnet_2012", 1000))
    assert kinds == [
        "convolution", "activation relu", "local response norm", "max pooling", "grouped convolution",
        "adaptive pooling", "flattening", "dropout", "fully connected layer",
    ]  # fmt: skip


@pytest.mark.parametrize("name", list_backbones())
def test_every_product_sum_and_quotient_that_is_written_holds(name):
    """Whatever stands on both sides of an equals sign is worked out again."""
    checked = 0
    for lines in explained(name).values():
        for text in lines.values():
            text = re.sub(r"ceil\((\([^W]*?\)/\d+)\)", lambda match: str(math.ceil(eval(match[1]))), text)
            for left, right in re.findall(r"((?:[\d*+(/][\d*+() /,.-]*)) = ([\d,.]+\d|\d)(?! ?[KMG]iB)(?![\d*])", text):
                value = eval(left.replace(",", ""))
                assert int(value) == pytest.approx(float(right.replace(",", "")), abs=0.6), (name, text)
                checked += 1
    assert checked > 10


@pytest.mark.parametrize("kind", ["batch", "group", "layer", "instance", "local_response"])
def test_norms_say_over_what_they_take_the_mean(kind):
    lines = explained("resnet20", **{"layer_defaults.norm": kind})
    name = {"local_response": "local response norm"}.get(kind, f"{kind} norm")
    assert "x" in lines[name]["formula"]
    if kind != "local_response":
        assert lines[name]["parameters"].startswith("2*16 = 32")
    assert ("saved too" in lines[name]) == (kind == "batch")


def test_a_skip_connection_tells_its_shortcut_from_its_body():
    lines = explained("resnet18", 1000)["skip connection"]
    assert lines["shortcut"] == "the input itself"
    assert lines["parameters"] == "body 73,984 + shortcut 0"


def test_a_gate_says_that_from_here_on_everything_is_seen():
    assert "depends on the whole image" in explained("mobilenet_v3_small", 1000)["gate"]["sees"]


def test_a_window_that_is_not_square_is_explained_for_height_and_width():
    net = {"name": "net", "image_size": 16, "stages": {"a": {"conv": {
        "type": "conv", "out_channels": 2, "kernel_size": [3, 5]}}}}  # fmt: skip
    lines = explained(net)["convolution"]
    assert (lines["sees (H)"], lines["sees (W)"]) == (
        "1 + (3 - 1)*1 = 3 pixels (receptive field)", "1 + (5 - 1)*1 = 5 pixels (receptive field)")  # fmt: skip


def test_a_layer_of_somebody_else_is_explained_by_its_own_words(monkeypatch):
    from dataclasses import dataclass

    from visionkit.blocks import Primitive
    from visionkit.registry import Row

    @dataclass(frozen=True)
    class Twice(Primitive):
        """Every number times two."""

        def build(self, signal):
            raise NotImplementedError

    monkeypatch.setitem(BLOCKS._rows, "twice", Row(Twice))
    net = {"name": "net", "image_size": 8, "stages": {"a": {"it": {"type": "twice"}}}}
    assert explained(net)["twice"]["what"] == "Every number times two."
