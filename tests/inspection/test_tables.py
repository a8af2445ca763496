"""What is printed can be read, on any width, and says the same in every format."""

import csv
import io

import pytest

from visionkit.backbones import read_backbone
from visionkit.console import PipeSafeConsole
from visionkit.heads import read_head
from visionkit.inspection.layers import layer_rows
from visionkit.inspection.network import trace_network
from visionkit.inspection.stages import stage_bars, stage_shares
from visionkit.inspection.tables import format_bytes, layer_grid
from visionkit.inspection.totals import totals
from visionkit.report.tables import Grid, print_grid
from visionkit.settings import Sgd


def network_of(name, num_classes=10):
    spec = read_backbone(name)
    head = read_head("auto", task="classify")
    return trace_network(spec, image_size=(spec.image_size, spec.image_size), head=head, num_classes=num_classes)


def grid_of(name, **options):
    net = network_of(name)
    sums = totals(net, batch_size=1, optimizer=Sgd(weight_decay=0.0, momentum=0.9, nesterov=True))
    return layer_grid(net, layer_rows(net, depth=2), sums, **options)


def printed(grid, *, width):
    out = io.StringIO()
    print_grid(grid, "text", console=PipeSafeConsole(file=out, width=width))
    return out.getvalue()


@pytest.mark.parametrize("width", [60, 80, 100, 120, 160, 250])
@pytest.mark.parametrize("name", ["lenet", "vgg16", "inception_v3"])
def test_every_cell_is_printed_whole_at_any_width(name, width):
    grid = grid_of(name)
    text = printed(grid, width=width)
    lines = [line.rstrip() for line in text.splitlines()]
    assert max(len(line) for line in lines if "side by side" not in line) <= width
    words = set(text.split())
    for row in grid.rows:
        for cell in row:
            assert set(cell.split()) <= words, cell
    assert "…" not in text


def test_a_wide_terminal_shows_one_table_and_a_narrow_one_says_how_to_see_it():
    grid = grid_of("lenet")
    wide, narrow = (printed(grid, width=width) for width in (250, 80))
    assert wide.count("c1.conv") == 1
    assert "side by side" not in wide
    assert narrow.count("c1.conv") > 1
    needed = int(narrow.split("need a terminal ")[1].split(" wide")[0])
    assert printed(grid, width=needed).count("c1.conv") == 1
    assert printed(grid, width=needed - 1).count("c1.conv") == 2


@pytest.mark.parametrize("name", ["lenet", "resnet50", "mobilenet_v3_small"])
@pytest.mark.parametrize("columns", ["main", "all"])
def test_the_first_table_on_a_narrow_terminal_has_the_parameters(name, columns):
    first = printed(grid_of(name, columns=columns), width=80).split("\n \n")[0].split("head.output")[0]
    assert "parameters" in first


def test_the_main_columns_are_the_first_of_all_and_keep_their_sums():
    main, everything = grid_of("lenet", columns="main"), grid_of("lenet", columns="all")
    assert list(main.headings) == [
        "layer", "type", "output\nHxWxC", "parameters", "MACs", "kernel", "stride", "receptive field",
    ]  # fmt: skip
    assert [row[:8] for row in everything.rows] == main.rows
    assert main.footer[3:5] == ["61,706", "416,520"]
    assert len(everything.headings) == 17


def test_markdown_has_a_row_per_layer_and_the_totals(capsys):
    print_grid(grid_of("lenet"), "markdown")
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert len(lines) == 2 + 10 + 1
    assert {line.count("|") for line in lines} == {18}
    assert "| **total** |" in lines[-1]
    assert "**61,706**" in lines[-1]


def test_csv_can_be_read_back(capsys):
    net = network_of("lenet")
    print_grid(Grid.of_mappings([row.to_json() for row in layer_rows(net, depth=2)]), "csv")
    first = next(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert first["name"] == "c1.conv"
    assert first["output"] == "6x28x28"
    assert int(first["connections"]) == 122_304


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.00 KiB"), (18_816, "18.4 KiB"), (1_161_600, "1.11 MiB"),
     (250_000_000, "238 MiB"), (2**31, "2.00 GiB")],
)  # fmt: skip
def test_sizes_in_bytes_have_three_digits(size, text):
    assert format_bytes(size) == text


@pytest.mark.parametrize("name", ["lenet", "vgg16", "mobilenet_v3_small"])
def test_shares_of_the_stages_add_up_to_one(name):
    net = network_of(name)
    found = stage_shares(net)
    assert [stage["name"] for stage in found] == [*net.backbone.stages, "head"]
    for key in ("parameters", "macs", "training_memory"):
        assert sum(stage[f"{key}_share"] for stage in found) == pytest.approx(1)
    assert sum(stage["parameters"] for stage in found) == sum(part.parameters for part in net.parts)


def test_bars_are_as_long_as_the_shares():
    found = {stage["name"]: stage for stage in stage_shares(network_of("vgg16", 1000))}
    bars = {row[0]: row[2] for row in stage_bars(network_of("vgg16", 1000)).rows}
    assert found["head"]["parameters_share"] == pytest.approx(123_642_856 / 138_357_544)
    assert bars["head"] == "██████████▊   89.4 %"  # 0.894 * 12 = 10.7 signs
    assert bars["pool5"].split() == ["0.0", "%"]
