"""Every command and example of README.md and the pages of docs/, as a newcomer would type them."""

import json
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from importlib.util import find_spec

import pytest

from tests.helpers.page_data import make_page_data
from tests.helpers.paths import REPOSITORY
from tools.page_commands import PAGES, README, fenced, named_command, visionkit_commands

LONG = (
    "-m ", "sweep=", "n_jobs=", "hardware.devices=3", "task=detect", "task=segment", "task=instance",
    "weights=imagenet", "backbone=timm", "export run", "engine=onnx",
)  # fmt: skip
"""What takes many runs or processes, or a large network; the quick tests in e2e have smaller commands for each."""

EXAMPLES = [(page, number) for page in PAGES for number in range(len(fenced(page, "python")))]


def _commands(page, *, long):
    """The words of each command behind ``python -m visionkit``; what uses a run comes after what makes one.

    Those with an experiment or real data are results, which have a test of their own.
    """
    found = [c for c in visionkit_commands(page) if "experiment=" not in c and "data/" not in c]
    for package in ("timm", "optuna", "tensorboard", "mlflow", "wandb"):
        if find_spec(package) is None:
            found = [c for c in found if package not in c]
    found = [c for c in found if any(word in c.partition("visionkit ")[2] for word in LONG) == long]
    found.sort(key=lambda c: any(verb in c for verb in ("evaluate", "predict", "train run", "compare")))
    return [shlex.split(command)[3:] for command in found]


def _shortened(words):
    """Trainings take two small batches on a CPU, of few and small scenes, and searches make two trials."""
    if words and "=" not in words[0] and words[0] not in ("train", "-m"):
        return words
    values = {"recipe.epochs": "1", "recipe.batch_size": "8", "debug": "fast", "debug.limit_batches": "2",
              "hardware": "cpu"}  # fmt: skip
    if any(word in ("task=detect", "task=segment", "task=instance") for word in words):
        values["dataset.image_size"] = "64"
        if not any(word.startswith("dataset=") for word in words):
            values |= {f"dataset.scenes.{split}": "8" for split in ("train", "val", "test")}
    kept = [word for word in words if word.partition("=")[0] not in values]
    return [re.sub(r"^sweep.trials=.*", "sweep.trials=2", word) for word in kept] + [
        f"{k}={v}" for k, v in values.items()
    ]


def _in_two(words):
    """Three processes become two."""
    return [word.replace("hardware.devices=3", "hardware.devices=2") for word in words]


def _run(cli, commands):
    for words in commands:
        code, out, err = cli(*_in_two(_shortened(words)))
        assert code == 0, f"{words}\n{out}\n{err}"
        assert out


def _pages(*, long):
    return [pytest.param(page, id=page.stem) for page in PAGES if _commands(page, long=long)]


@pytest.fixture
def page_folder(in_empty_folder, published):
    """Makes the data of a page in the working directory; the published weights are random."""

    def make(page):
        if any("weights=imagenet" in command for command in visionkit_commands(page)):
            published.network("resnet18")
        make_page_data(in_empty_folder, page.stem)
        return in_empty_folder

    return make


@pytest.mark.parametrize("page", _pages(long=False))
def test_the_commands_run_in_the_order_of_the_page(cli, page_folder, page):
    page_folder(page)
    commands = _commands(page, long=False)
    _run(cli, commands)


@pytest.mark.slow
@pytest.mark.parametrize("page", _pages(long=True))
def test_the_long_commands_of_the_page_run(cli, page_folder, page):
    page_folder(page)
    commands = _commands(page, long=True)
    if any("run=latest" in words for words in commands):
        commands = [["backbone=lenet"], *commands]
    _run(cli, commands)


def test_each_page_has_commands_that_run():
    without = {page.stem for page in PAGES if not (_commands(page, long=False) or _commands(page, long=True))}
    assert without == {"python", "results", "wrong_inputs"}


@pytest.mark.parametrize(("page", "number"), [pytest.param(*e, id=f"{e[0].stem}-{e[1]}") for e in EXAMPLES])
def test_the_python_examples_run(page, number, in_empty_folder, shared_runs):
    code = fenced(page, "python")[number]
    if "photos" in code:
        make_page_data(in_empty_folder, page.stem)
    if '"latest"' in code:
        shutil.copytree(shared_runs.of("classify"), in_empty_folder / "runs" / "classify-lenet-digits" / "one")
    variables: dict[str, object] = {}
    exec(compile(code, f"{page.stem} example {number}", "exec"), variables)
    if "losses" in variables:
        assert all(float(value) > 0 for value in variables["losses"].values())
    if "loss" in variables:
        assert float(variables["loss"]) < 2.4


def test_the_block_of_the_page_builds_and_counts_itself():
    import torch

    from visionkit.backbones import create_backbone

    variables: dict[str, object] = {}
    exec(fenced(REPOSITORY / "docs" / "own_parts.md", "python")[0], variables)
    net = {"name": "net", "layer_defaults": {"norm": "batch", "activation": "relu"},
           "stages": {"a": {"mine": {"type": "my_block", "kernel_size": 3}}}}  # fmt: skip
    backbone = create_backbone(net)
    assert backbone(torch.zeros(2, 3, 8, 8))["a"].shape == (2, 3, 8, 8)


def test_the_two_commands_are_one_line_each_and_the_ci_calls_the_second():
    assert named_command("main").endswith("python -m visionkit task=classify backbone=lenet")
    assert named_command("tests").endswith("-m pytest")
    assert "page_commands.py --name tests" in (REPOSITORY / ".ci" / "run").read_text()


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
        assert any(re.search(rf"^ *(import|from) {shared.stem}\b", text, re.MULTILINE) for text in texts.values())
    monkeypatch.syspath_prepend(str(REPOSITORY / "tools"))
    for tool in tools:
        monkeypatch.setattr(sys, "argv", [str(tool), "--help"])
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(tool), run_name="__main__")
        assert end.value.code == 0, tool
        assert capsys.readouterr().out.startswith("usage:"), tool


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_and_pictures_of_a_page_are_in_the_repository(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        path, _, anchor = link.partition("#")
        if path.startswith("http"):
            continue
        target = (page.parent / path).resolve() if path else page
        assert target.is_file(), link
        headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE) if anchor else []
        assert not anchor or anchor in [re.sub(r"[^\w\- ]", "", h).lower().replace(" ", "-") for h in headings], link


def test_each_page_is_reached_from_the_readme():
    linked = set(re.findall(r"\]\((docs/[^)#]+\.md)\)", README.read_text(encoding="utf-8")))
    assert {str(page.relative_to(REPOSITORY)) for page in PAGES if page != README} <= linked


def test_the_readme_is_read_to_its_end():
    assert len(README.read_text(encoding="utf-8").split()) <= 900


def test_the_counts_of_the_readme_are_those_of_the_project():
    from visionkit import list_backbones
    from visionkit.data.findings.catalogue import CATALOGUE

    text = README.read_text(encoding="utf-8")
    attacks = json.loads((REPOSITORY / "docs" / "attack.json").read_text(encoding="utf-8"))
    assert f"Any of {len(list_backbones())} backbones" in text
    assert f"[{len(CATALOGUE)} kinds of findings]" in text
    assert f"{attacks['cases']:,} crafted files" in text


def test_the_tables_of_a_page_are_what_the_commands_print(monkeypatch):
    monkeypatch.syspath_prepend(str(REPOSITORY / "tools"))
    from tools import page_outputs

    page = (REPOSITORY / "docs" / "networks.md").read_text(encoding="utf-8")
    commands = [place[1] for place in page_outputs.PLACE.finditer(page)]
    assert [command.split()[1] for command in commands] == ["backbone=lenet", "backbone=alexnet_2012"]
    assert page_outputs.refreshed(page) == page, "run: python tools/page_outputs.py"
    assert "| c1.conv | conv | 55x55x96 | 34,944 | 105,415,200 | 11x11 | 4 | 11 px |" in page
    assert "| `1 + 5*5*1 = 26` | 4,704 | 122,304 |" in page
