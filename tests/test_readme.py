"""Every command and example of README.md, as a newcomer would type them."""

import json
import shlex
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(REPOSITORY / "tools"))

from readme_commands import README, named_command, python_examples, visionkit_commands  # noqa: E402


def test_the_commands_run_in_the_order_of_the_page(cli, in_empty_folder, published):
    """Shortened by two epochs and a CPU, published weights being random; the result commands have their own test."""
    from PIL import Image

    published.network("resnet18")
    for name, shade in (("cat", 60), ("dog", 180)):
        (in_empty_folder / "photos" / name).mkdir(parents=True)
        for i in range(20):
            Image.new("RGB", (48, 40), (shade, i * 5, shade)).save(in_empty_folder / "photos" / name / f"{i:03d}.jpg")
    text = README.read_text(encoding="utf-8")
    (in_empty_folder / "mynet.yaml").write_text(text.split("```yaml\n")[1].split("```")[0])
    commands = [c for c in visionkit_commands() if "experiment=" not in c and "data/" not in c]
    if find_spec("timm") is None:
        commands = [c for c in commands if "timm" not in c]
    if find_spec("optuna") is None:
        commands = [c for c in commands if "optuna" not in c]
    ran = 0
    commands.sort(key=lambda c: any(verb in c for verb in ("evaluate", "predict", "train run")))
    for command in commands:
        words = shlex.split(command)[3:]
        trains = not words or "=" in words[0] or words[0] in ("train", "-m")
        if trains:
            words += ["recipe.epochs=1", "debug=fast", "hardware=cpu"]
        code, out, err = cli(*words)
        assert code == 0, f"{command}\n{out}\n{err}"
        assert out
        ran += 1
    assert ran >= 12


@pytest.mark.parametrize("number", range(len(python_examples())))
def test_the_python_examples_run(number):
    variables: dict[str, object] = {}
    exec(compile(python_examples()[number], f"README example {number}", "exec"), variables)
    if "losses" in variables:
        assert all(float(value) > 0 for value in variables["losses"].values())
    if "loss" in variables:
        assert float(variables["loss"]) < 2.4


def test_the_block_of_the_page_builds_and_counts_itself():
    import torch

    from visionkit.backbones import create_backbone

    variables: dict[str, object] = {}
    exec(python_examples()[0], variables)
    net = {"name": "net", "layer_defaults": {"norm": "batch", "activation": "relu"},
           "stages": {"a": {"mine": {"type": "my_block", "kernel_size": 3}}}}  # fmt: skip
    backbone = create_backbone(net)
    assert backbone(torch.zeros(2, 3, 8, 8))["a"].shape == (2, 3, 8, 8)


def test_the_two_commands_are_one_line_each_and_the_ci_calls_the_second():
    assert named_command("main").endswith("python -m visionkit task=classify backbone=lenet")
    assert named_command("tests").endswith("-m pytest")
    assert "readme_commands.py --name tests" in (REPOSITORY / ".ci" / "run").read_text()


@pytest.mark.slow
def test_the_main_command_reaches_the_accuracy_of_the_page(tmp_path):
    """The default run: LeNet on digits, at least 98.5 % on the test split, within a minute."""
    words = shlex.split(named_command("main"))[-4:]
    began = time.perf_counter()
    result = subprocess.run(
        [sys.executable, *words, "format=json"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    took = time.perf_counter() - began
    assert json.loads(result.stdout)["metrics"]["test/accuracy"] >= 0.985
    assert took < 60


def test_every_tool_explains_itself():
    tools = sorted((REPOSITORY / "tools").glob("*.py"))
    assert tools
    for tool in tools:
        result = subprocess.run([sys.executable, tool, "--help"], capture_output=True, text=True, check=True)
        assert "usage:" in result.stdout, tool


def test_pictures_on_the_page_are_in_the_repository():
    for line in README.read_text(encoding="utf-8").splitlines():
        if line.startswith("!["):
            assert (REPOSITORY / line.rpartition("(")[2].rstrip(")")).is_file()


def test_the_tables_of_the_page_are_what_the_commands_print():
    import readme_outputs

    page = README.read_text(encoding="utf-8")
    commands = [place[1] for place in readme_outputs.PLACE.finditer(page)]
    assert [command.split()[1] for command in commands] == ["backbone=lenet", "backbone=alexnet_2012"]
    assert readme_outputs.refreshed(page) == page, "run: python tools/readme_outputs.py"
    assert "| `1 + 11*11*3 = 364` | 290,400 | 105,705,600 | 34,944 |" in page
    assert "| `1 + 5*5*1 = 26` | 4,704 | 122,304 | 156 |" in page
