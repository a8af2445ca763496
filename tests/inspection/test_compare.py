"""Networks side by side."""

import pytest

from visionkit.backbones import read_backbone
from visionkit.config_files import read_group_file
from visionkit.heads import read_head
from visionkit.inspection.compare import comparison, difference_grid, differences, ratios
from visionkit.inspection.network import trace_network
from visionkit.inspection.totals import totals
from visionkit.settings import Sgd


def pair_of(name, num_classes=1000):
    spec = read_backbone(name)
    head = read_head("auto", task="classify")
    net = trace_network(spec, image_size=(224, 224), head=head, num_classes=num_classes)
    return net, totals(net, batch_size=1, optimizer=Sgd(weight_decay=0.0, momentum=0.9, nesterov=True))


def test_ratios_are_to_the_first_network():
    found = ratios([pair_of("resnet18"), pair_of("resnet50"), pair_of("resnet18")])
    assert found["parameters"] == [1.0, pytest.approx(25_557_032 / 11_689_512), 1.0]
    assert "batch_size" not in found


def test_each_cell_has_the_number_and_how_many_times_the_first_it_is():
    grid = comparison([pair_of("resnet18"), pair_of("resnet50")])
    cells = {row[0]: row[1:] for row in grid.rows}
    assert list(grid.headings) == ["", "resnet18", "resnet50"]
    assert cells["parameters"] == ["11,689,512  x 1.00", "25,557,032  x 2.19"]
    assert cells["last map HxWxC"] == ["7x7x512", "7x7x2048"]
    assert cells["receptive field"] == ["435 px", "427 px"]


@pytest.mark.parametrize(
    ("name", "layers"),
    [("lenet", 5), ("alexnet", 8), ("vgg16", 16), ("googlenet", 22), ("densenet121", 121), ("plain56", 56),
     *((f"resnet{depth}", depth) for depth in (18, 20, 32, 34, 44, 50, 56, 101, 110, 152))],
)  # fmt: skip
def test_layers_with_weights_are_those_of_the_papers(name, layers):
    spec = read_backbone(name)
    head = read_head("auto", task="classify")
    net = trace_network(spec, image_size=(spec.image_size, spec.image_size), head=head, num_classes=10)
    assert net.weighted_layers == layers


def test_a_small_ratio_keeps_two_digits():
    grid = comparison([pair_of("resnet50"), pair_of("squeezenet1_1")])
    cells = {row[0]: row[1:] for row in grid.rows}
    assert cells["parameters"] == ["25,557,032  x 1.00", "1,235,496  x 0.048"]


def test_a_comparison_for_other_programs_has_plain_numbers():
    grid = comparison([pair_of("resnet18"), pair_of("resnet50")], exact=True)
    cells = {row[0]: row[1:] for row in grid.rows}
    assert cells["parameters"] == ["11689512", "25557032"]
    assert grid.notes == []


def test_the_keys_in_which_files_differ_come_with_the_values_of_each():
    found = differences([read_group_file("backbone", name) for name in ("plain56", "resnet56")])
    assert found == {
        **{f"stages.layer{i}.blocks.residual": [False, None] for i in (1, 2, 3)},
        **{f"stages.layer{i}.blocks.shortcut": [None, "zero_pad"] for i in (1, 2, 3)},
    }


def test_of_many_differences_the_first_are_shown_and_the_rest_counted():
    files = [read_group_file("backbone", name) for name in ("resnet18", "lenet")]
    grid = difference_grid(["resnet18", "lenet"], files)
    assert len(grid.rows) == 8
    assert ["layer_defaults.activation", "relu", "tanh"] in [list(row) for row in grid.rows]
    assert grid.notes == [f"{len(differences(files)) - 8} more keys differ; format=json has all."]


def test_files_that_are_alike_are_said_to_be():
    file = read_group_file("backbone", "lenet")
    assert difference_grid(["lenet", "lenet"], [file, file]).title == "the files are alike"


def test_figures_that_differ_come_before_those_that_do_not():
    grid = comparison([pair_of("resnet18"), pair_of("resnet50")])
    alike = [len(set(row[1:])) == 1 for row in grid.rows]
    assert alike == sorted(alike)
    assert grid.rows[-1][0] in ("image", "classes", "stride")
