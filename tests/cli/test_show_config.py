"""What a command would run: ``--cfg``, ``--info``, and the verb ``config``."""

import json
import os
import shutil
import subprocess
import sys

import pytest
import yaml

from tests.helpers.paths import REPOSITORY
from visionkit.cli.completion import candidates


def test_cfg_job_is_the_configuration_that_the_run_stores(cli, shared_runs):
    run = shared_runs.of("classify")
    words = ("task=classify", "backbone=lenet", "hardware=cpu", "recipe.epochs=6")
    code, out, _ = cli(*words, "--cfg", "job", "--resolve")
    assert code == 0
    stored = yaml.safe_load((run / "config.yaml").read_text())
    shown = yaml.safe_load(out)
    changed = {"format_version", "run_dir", "started"}
    assert {k: v for k, v in shown.items() if k not in changed} == {k: v for k, v in stored.items() if k not in changed}


@pytest.mark.parametrize("words", [("--cfg", "job", "-p", "recipe.lr"), ("-c", "job", "--package=recipe.lr")])
def test_cfg_shows_one_part(cli, words):
    assert cli("recipe.lr=0.25", *words)[:2] == (0, "# @package recipe.lr\n0.25\n")


def test_hydras_name_of_the_run_folder_means_run_dir(cli):
    for key in ("hydra.run.dir", "hydra.sweep.dir"):
        assert cli(f"{key}=a/b", "--cfg", "job", "-p", "run_dir")[1] == "# @package run_dir\na/b\n"


def test_a_folder_of_ones_own_has_hydras_short_flag_too(cli, in_empty_folder):
    (in_empty_folder / "mine" / "recipe").mkdir(parents=True)
    (in_empty_folder / "mine" / "recipe" / "slow.yaml").write_text("defaults: [adamw, _self_]\nepochs: 77\n")
    code, out, _ = cli("-cd", "mine", "recipe=slow", "config", "format=json")
    assert code == 2  # the verb comes first
    code, out, _ = cli("config", "-cd", "mine", "recipe=slow", "format=json")
    shown = json.loads(out)
    assert shown["config"]["recipe"]["epochs"] == 77
    assert shown["origins"]["recipe.epochs"].endswith("mine/recipe/slow.yaml")
    assert shown["origins"]["recipe.optimizer.type"] == "conf/recipe/adamw.yaml"
    assert shown["origins"]["recipe.clip_norm"] == "conf/recipe/_base.yaml"


def test_config_says_where_each_value_comes_from(cli):
    words = ("task=detect", "experiment=coco_fcos", "dataset.root=x", "recipe.lr=0.5", "head.neck.out_channels=64")
    _, out, _ = cli("config", *words, "format=json")
    origins = json.loads(out)["origins"]
    assert {key: origins[key] for key in ("recipe.lr", "head.neck.out_channels", "recipe.epochs", "dataset.fit")} == {
        "recipe.lr": "typed", "head.neck.out_channels": "typed",
        "recipe.epochs": "conf/experiment/coco_fcos.yaml", "dataset.fit": "conf/experiment/coco_fcos.yaml",
    }  # fmt: skip
    assert origins["dataset.type"] == "conf/dataset/coco.yaml"
    assert origins["task.name"] == "conf/task/detect.yaml"
    assert origins["strict"] == "conf/config.yaml"
    assert "plugin" not in origins.values()
    _, text, _ = cli("config", *words)
    assert yaml.safe_load(text)["recipe"]["lr"] == 0.5
    assert any(line.split() == ["lr:", "0.5", "#", "typed"] for line in text.splitlines())


def test_config_of_a_run_says_what_was_changed(cli, shared_runs):
    run = shared_runs.of("classify")
    _, out, _ = cli("config", f"run={run}", "recipe.lr=0.5", "hardware=auto", "format=json")
    origins = json.loads(out)["origins"]
    assert origins["recipe.lr"] == "typed"
    assert origins["recipe.epochs"] == f"run={run}"


@pytest.mark.parametrize(
    ("topic", "headings"),
    [
        ("plugins", ["Plugins"]),
        ("searchpath", ["Config search path"]),
        ("defaults-tree", ["Defaults tree"]),
        ("defaults", ["Defaults list: each on top of those before"]),
        (
            "config",
            ["Config search path", "Defaults tree", "Defaults list: each on top of those before", "Config"],
        ),
        (
            "all",
            ["Plugins", "Config search path", "Defaults tree", "Defaults list: each on top of those before", "Config"],
        ),
    ],
)
def test_each_topic_of_info_has_the_sections_that_hydras_has(cli, topic, headings):
    code, out, _ = cli("--info", topic)
    assert code == 0
    assert [line[2:] for line in out.splitlines() if line.startswith("# ")] == headings


def test_the_defaults_list_has_the_files_in_the_order_in_which_they_are_merged(cli, in_empty_folder):
    (in_empty_folder / "mine" / "recipe").mkdir(parents=True)
    (in_empty_folder / "mine" / "recipe" / "slow.yaml").write_text("defaults: [adamw, _self_]\nepochs: 77\n")
    code, out, _ = cli("-cd", "mine", "recipe=slow", "experiment=mnist_lenet", "--info", "defaults")
    rows = [line.split() for line in out.splitlines()[2:]]
    assert code == 0
    assert rows[0] == ["conf/config.yaml", "_global_"]
    assert [file for file, package in rows if package == "recipe"] == [
        "conf/recipe/_base.yaml", "conf/recipe/adam.yaml", "conf/recipe/adamw.yaml", "mine/recipe/slow.yaml",
    ]  # fmt: skip
    assert rows[-1] == ["conf/experiment/mnist_lenet.yaml", "_global_"]


def test_the_defaults_tree_has_what_is_typed_and_what_the_task_chooses(cli):
    _, out, _ = cli("task=detect", "backbone=resnet18", "--info", "defaults-tree")
    choices = [line for line in out.splitlines() if ": " in line]
    assert choices == [
        "backbone: resnet18", "head: fcos_small", "dataset: digits", "recipe: detect", "hardware: auto",
        "logger: none", "debug: none", "task: detect", "experiment: null",
    ]  # fmt: skip


def test_cfg_of_hydra_says_that_there_is_nothing(cli):
    code, out, _ = cli("--cfg", "hydra")
    assert (code, out.startswith("# hydra: visionkit takes nothing from it")) == (0, True)


def test_hydras_help_names_every_flag_of_hydras(cli):
    code, out, _ = cli("--hydra-help")
    flags = {word.rstrip(",") for word in out.split() if word.startswith("-")}
    assert code == 0
    assert flags >= {
        "--help", "-h", "--version", "--cfg", "-c", "--package", "-p", "--resolve", "--info", "-i", "--run", "-r",
        "--multirun", "-m", "--config-dir", "-cd", "--config-path", "-cp", "--config-name", "-cn",
        "--shell-completion", "-sc",
    }  # fmt: skip


def test_list_has_no_configuration_to_show(cli):
    code, _, err = cli("list", "--cfg", "job")
    assert (code, "there is no configuration to show" in err) == (2, True)


CHOICES = {"backbone": ["lenet", "resnet18", "resnet20"], "task": ["classify", "detect"]}


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("visionkit ins", ["inspect"]),
        ("visionkit backbone=res", ["backbone=resnet18", "backbone=resnet20"]),
        ("visionkit -m backbone=lenet,resnet2", ["backbone=lenet,resnet20"]),
        ("visionkit evaluate sp", ["split="]),
        ("visionkit recipe.optimizer.mo", ["recipe.optimizer.momentum="]),
        ("visionkit dataset=coco dataset.annotations.tr", ["dataset.annotations.train="]),
        ("visionkit strict=t", ["strict=true"]),
        ("visionkit 'open", []),
    ],
)
def test_what_may_follow_on_a_line(line, found):
    assert candidates(line, CHOICES) == found


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_script_that_asks_for_candidates(cli, monkeypatch, shell):
    code, out, _ = cli("--shell-completion", f"install={shell}")
    assert (code, f"visionkit --shell-completion query={shell}" in out) == (0, True)
    monkeypatch.setenv("COMP_LINE", "visionkit task=seg")
    assert cli(f"--shell-completion=query={shell}")[1] == "task=segment\n"


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("visionkit ins", ["inspect"]),
        ("visionkit task=seg", ["segment"]),
        ("visionkit train recipe.optimizer.mo", ["recipe.optimizer.momentum="]),
        ("visionkit -m hardware=c", ["cpu"]),
    ],
)
def test_bash_completes_words_with_the_script(cli, tmp_path, line, expected):
    _, script, _ = cli("--shell-completion", "install=bash")
    command = tmp_path / "visionkit"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m visionkit "$@"\n')
    command.chmod(0o755)
    call = f"{script}\nCOMP_LINE={line!r} COMP_POINT={len(line)}\ncompopt() {{ :; }}\n_visionkit\n"
    result = subprocess.run(
        ["bash", "-c", call + 'printf "%s\\n" "${COMPREPLY[@]}"'],
        env={**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(REPOSITORY)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert result.stdout.split() == expected
