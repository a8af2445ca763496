"""docs/backbones.md: its generated tables are fresh, its commands and examples run, its figures hold."""

import json
import re
import subprocess
import sys

import pytest

from tests.helpers import commands
from tests.helpers.paths import REPOSITORY
from tools import backbone_guide

PAGE = backbone_guide.PAGE.read_text(encoding="utf-8")
EQUALITY = json.loads(backbone_guide.EQUALITY.read_text(encoding="utf-8"))["backbones"]


def blocks(language):
    """The fenced blocks of one language, in the order of the page."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)


def calls_of(script, folder):
    """What a block of bash would give to python, loops and quotes opened by bash; the rest of the block runs."""
    record = folder / "calls"
    record.write_bytes(b"")
    recorder = 'python() { printf "%s\\0" "$@" >> calls; printf "\\n" >> calls; }\n'
    subprocess.run(["bash", "-euo", "pipefail", "-c", recorder + script], cwd=folder, check=True)
    return [line.rstrip("\0").split("\0") for line in record.read_text().splitlines()]


@pytest.mark.slow
def test_a_block_of_somebody_else_does_not_change_the_page(monkeypatch):
    from visionkit.blocks import BLOCKS, Dropout
    from visionkit.registry import Row

    class Theirs(Dropout):
        __module__ = "their_blocks"

    monkeypatch.setitem(BLOCKS._rows, "theirs", Row(Theirs))
    assert backbone_guide.refreshed(PAGE) == PAGE


@pytest.mark.slow
def test_the_check_fails_on_a_stale_page_and_says_what_to_run(tmp_path, monkeypatch):
    page = tmp_path / "backbones.md"
    page.write_text(PAGE.replace("25,557,032", "25,557,033"), encoding="utf-8")
    monkeypatch.setattr(backbone_guide, "PAGE", page)
    monkeypatch.setattr(sys, "argv", ["backbone_guide.py", "--check"])
    with pytest.raises(SystemExit, match=r"not fresh. Run: python tools/backbone_guide.py"):
        backbone_guide.main()
    monkeypatch.setattr(sys, "argv", ["backbone_guide.py"])
    backbone_guide.main()
    assert page.read_text(encoding="utf-8") == PAGE


def test_a_page_without_a_place_for_a_table_is_refused(monkeypatch):
    monkeypatch.setattr(backbone_guide, "PARTS", dict.fromkeys(backbone_guide.PARTS, str))  # tables take long
    assert backbone_guide.refreshed(PAGE) != PAGE
    with pytest.raises(SystemExit, match="expected one '<!-- generated: blocks -->'"):
        backbone_guide.refreshed(PAGE.replace("<!-- generated: blocks -->", ""))


@pytest.mark.slow
def test_the_check_needs_no_torch():
    program = (
        "import runpy, sys; sys.argv = ['x', '--check']; runpy.run_path('tools/backbone_guide.py', "
        "run_name='__main__'); print('torch' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert result.stdout == "False\n"


@pytest.mark.parametrize(
    "cells",
    [
        "`resnet50` | 25,557,032 | 4.09 | 82.7 MiB | 427 px | 64@2 256@4 512@8 1024@16 2048@32 | stride 8 | 8, 16",
        "`lenet` | 61,706 | 0.000417 | 59.2 KiB | 16 px | 6@2 16@4 | - | - | - | LeCun et al. 1998",
        "`resnet20` | 269,722 | 0.0406 | 1.48 MiB | 81 px | 16@1 16@1 32@2 64@4 | - | - | - | He et al. 2016",
        "`inverted_residual` | `out_channels` | `kernel_size: 3`, `stride: 1`, `expansion: 6`",
        "`group` | `groups: 32`, `eps: 1e-05` | Group normalisation",
    ],
)
def test_rows_of_the_tables(cells):
    """ResNet-50's counts are torchvision's; LeNet's multiplications are 117,600 + 240,000 + 58,920."""
    assert f"| {cells}" in PAGE


def test_every_backbone_has_one_row():
    from visionkit.backbones import list_backbones

    tables = PAGE.partition("<!-- generated: backbones -->")[2].partition("<!-- end -->")[0]
    for name in list_backbones():
        assert tables.count(f"\n| `{name}` |") == 1, name


@pytest.mark.parametrize("name", ["lenet", "plain20", "resnet18", "mobilenet_v2", "regnet_y_400mf", "inception_v3"])
def test_rows_are_fresh(name):
    """Of a few kinds of networks; the slow tests and ``--check`` compare the whole page."""
    row = backbone_guide.backbone_row(name, EQUALITY.get(name))
    assert f"\n| {' | '.join(row)} |\n" in PAGE


def test_equality_is_measured_for_every_counterpart_and_small():
    from visionkit.backbones import list_backbones, read_backbone

    assert set(EQUALITY) == {name for name in list_backbones() if read_backbone(name).torchvision}
    for name, distance in EQUALITY.items():
        assert 0 <= distance["logits"] < 1e-9, name
        assert 0 <= distance["gradients"] < 1e-7, name


def test_the_branches_of_the_page_are_a_backbone(in_empty_folder):
    from visionkit.backbones import read_backbone

    (in_empty_folder / "branches.yaml").write_text(blocks("yaml")[1])
    key = "stages.mix.a.branches.wide.conv.kernel_size"
    for overrides, view in (({}, 3), ({key: 5}, 5)):
        spec = read_backbone("branches.yaml", overrides=overrides)
        assert spec.feature_shapes(32)["mix"].chw == (35, 32, 32)
        assert spec.feature_shapes(32)["mix"].height.receptive_field == view


def test_the_net_of_the_page_has_twelve_lines_and_is_what_the_page_prints(cli, in_empty_folder):
    net = blocks("yaml")[0]
    assert len(net.splitlines()) == 12
    (in_empty_folder / "smallnet.yaml").write_text(net)
    code, out, _ = cli("inspect", "backbone=smallnet.yaml", "num_classes=10")
    assert code == 0
    assert [line.rstrip() for line in out.splitlines()] == blocks("text")[0].splitlines()


@pytest.mark.slow
def test_the_commands_run_in_the_order_of_the_page(cli, in_empty_folder):
    """Bash opens the loops; what trains is shortened to one epoch of a few batches on a CPU."""
    (in_empty_folder / "smallnet.yaml").write_text(blocks("yaml")[0])
    trained = 0
    for script in blocks("bash"):
        for call in calls_of(script, in_empty_folder):
            assert call[:2] == ["-m", "visionkit"]
            words = call[2:]
            if words[0] not in ("list", "inspect"):
                changes = ("recipe.epochs=1", "recipe.batch_size=8", "debug=fast", "hardware=cpu")
                words = commands.changed(words, *changes)
                trained += 1
            code, out, err = cli(*words)
            assert code == 0, f"{words}\n{out}\n{err}"
            assert out
    assert trained >= 15
    sweep = {path.parent.name for path in in_empty_folder.glob("sweep/*/metrics.json")}
    assert {"kernel-7", "depth-3", "norm-none", "norm-batch-layer", "init-orthogonal", "init-normal", "plain"} <= sweep


def test_bash_opens_the_loops_of_the_page(in_empty_folder):
    (loop,) = [script for script in blocks("bash") if "for kernel in" in script]
    overrides = [call[3] for call in calls_of(loop, in_empty_folder)]
    assert overrides == [f"backbone.stages.stem.conv.kernel_size={kernel}" for kernel in (3, 5, 7)]


@pytest.mark.parametrize("number", range(len(blocks("python"))))
def test_the_python_examples_run(number, in_empty_folder):
    (in_empty_folder / "smallnet.yaml").write_text(blocks("yaml")[0])
    variables: dict[str, object] = {}
    exec(compile(blocks("python")[number], f"docs/backbones.md example {number}", "exec"), variables)
    if "logits" in variables:
        assert tuple(variables["logits"].shape) == (8, 10)
    else:
        assert list(variables["backbone"].feature_info) == ["layer2", "layer3", "layer4"]
        assert not variables["backbone"].layer1.training
