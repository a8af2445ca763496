"""Every command and example of README.md, as a newcomer would type them."""

import json
import os
import re
import runpy
import shlex
import subprocess
import sys
from importlib.util import find_spec

import pytest

from tests.helpers import commands
from tests.helpers.paths import REPOSITORY
from tools.readme_commands import README, named_command, python_examples, visionkit_commands

SMALL_SCENES = (
    "dataset.image_size=64", "dataset.scenes.train=8", "dataset.scenes.val=8", "dataset.scenes.test=8",
    "recipe.batch_size=4",
)  # fmt: skip
LONG = (
    "-m ", "sweep=", "n_jobs=", "hardware.devices=3", "task=detect", "task=segment", "task=instance",
    "weights=imagenet", "backbone=timm",
)  # fmt: skip
"""What takes many runs or processes, or a large network; the quick tests in e2e have smaller commands for each."""


def _commands(*, long):
    """The words of each command behind ``python -m visionkit``; what uses a run comes after what makes one.

    Those with an experiment or data of their own are results, which have a test of their own.
    """
    found = [c for c in visionkit_commands() if "experiment=" not in c and "data/" not in c]
    for package in ("timm", "optuna"):
        if find_spec(package) is None:
            found = [c for c in found if package not in c]
    found = [c for c in found if any(word in c.partition("visionkit ")[2] for word in LONG) == long]
    found.sort(key=lambda c: any(verb in c for verb in ("evaluate", "predict", "train run")))
    return [shlex.split(command)[3:] for command in found]


def _shortened(words):
    """Trainings take two small batches on a CPU, of few and small scenes, and searches make two trials."""
    if words and "=" not in words[0] and words[0] not in ("train", "-m"):
        return words
    short = ["recipe.epochs=1", "recipe.batch_size=8", "debug=fast", "debug.limit_batches=2", "hardware=cpu"]
    if any(word in ("task=detect", "task=segment", "task=instance") for word in words):
        short += ["dataset.image_size=64", *(f"dataset.scenes.{s}=8" for s in ("train", "val", "test"))]
    return commands.changed([re.sub(r"^sweep.trials=.*", "sweep.trials=2", word) for word in words], *short)


def _in_two(words):
    """Three processes become two."""
    return [word.replace("hardware.devices=3", "hardware.devices=2") for word in words]


def _run(cli, commands):
    for words in commands:
        code, out, err = cli(*_in_two(_shortened(words)))
        assert code == 0, f"{words}\n{out}\n{err}"
        assert out


@pytest.fixture
def page_folder(in_empty_folder, published):
    """A working directory with what the page speaks of; the published weights are random."""
    from PIL import Image

    published.network("resnet18")
    for name, shade in (("cat", 60), ("dog", 180)):
        (in_empty_folder / "photos" / name).mkdir(parents=True)
        for i in range(20):
            Image.new("RGB", (48, 40), (shade, i * 5, shade)).save(in_empty_folder / "photos" / name / f"{i:03d}.jpg")
    text = README.read_text(encoding="utf-8")
    (in_empty_folder / "mynet.yaml").write_text(text.split("```yaml\n")[1].split("```")[0])
    return in_empty_folder


def test_the_commands_run_in_the_order_of_the_page(cli, page_folder):
    commands = _commands(long=False)
    assert len(commands) >= 12
    assert any("hardware.devices=2" in words for words in commands)
    _run(cli, commands)


@pytest.mark.slow
def test_the_long_commands_of_the_page_run(cli, page_folder):
    commands = _commands(long=True)
    assert len(commands) >= 8
    _run(cli, [["backbone=lenet"], *commands])


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
    """The default run: LeNet on digits, at least 98.5 % on the test split, within a minute of processor time."""
    words = shlex.split(named_command("main"))[-4:]
    began = os.times()
    result = subprocess.run(
        [sys.executable, *words, "format=json"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    ended = os.times()
    took = ended.children_user + ended.children_system - began.children_user - began.children_system
    assert json.loads(result.stdout)["metrics"]["test/accuracy"] >= 0.985
    assert took < 60


def test_every_tool_explains_itself(monkeypatch, capsys):
    """In this process, since most import torch; a module without a main block serves other tools."""
    texts = {tool: tool.read_text(encoding="utf-8") for tool in sorted((REPOSITORY / "tools").glob("[!_]*.py"))}
    tools = [tool for tool, text in texts.items() if 'if __name__ == "__main__":' in text]
    assert len(tools) > 10
    for shared in set(texts) - set(tools):
        assert any(re.search(rf"^(import|from) {shared.stem}\b", text, re.MULTILINE) for text in texts.values())
    monkeypatch.syspath_prepend(str(REPOSITORY / "tools"))
    for tool in tools:
        monkeypatch.setattr(sys, "argv", [str(tool), "--help"])
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(tool), run_name="__main__")
        assert end.value.code == 0, tool
        assert capsys.readouterr().out.startswith("usage:"), tool


def test_pictures_on_the_page_are_in_the_repository():
    for line in README.read_text(encoding="utf-8").splitlines():
        if line.startswith("!["):
            assert (REPOSITORY / line.rpartition("(")[2].rstrip(")")).is_file()


def test_the_tables_of_the_page_are_what_the_commands_print():
    from tools import readme_outputs

    page = README.read_text(encoding="utf-8")
    commands = [place[1] for place in readme_outputs.PLACE.finditer(page)]
    assert [command.split()[1] for command in commands] == ["backbone=lenet", "backbone=alexnet_2012"]
    assert readme_outputs.refreshed(page) == page, "run: python tools/readme_outputs.py"
    assert "| `1 + 11*11*3 = 364` | 290,400 | 105,705,600 | 34,944 |" in page
    assert "| `1 + 5*5*1 = 26` | 4,704 | 122,304 | 156 |" in page
