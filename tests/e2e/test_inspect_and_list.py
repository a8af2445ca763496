"""The verbs that answer without torch."""

import json
import re
import shutil
import subprocess
import sys

import pytest

from tests.helpers.backbones import slow_unless_smallest
from tests.helpers.paths import CONF
from visionkit.backbones import list_backbones
from visionkit.tasks.info import TASKS


def test_inspect_prints_lenet_as_the_paper_has_it(cli):
    code, out, _ = cli("inspect", "backbone=lenet", "num_classes=10", "format=json")
    document = json.loads(out)
    assert code == 0
    assert document["totals"]["parameters"] == document["totals"]["trainable_parameters"] == 61_706
    assert document["totals"]["macs"] == 416_520
    outputs = [layer["output"] for layer in document["layers"]]
    assert outputs[:4] == [[6, 28, 28], [6, 14, 14], [16, 10, 10], [16, 5, 5]]
    assert [layer["parameters"] for layer in document["layers"] if layer["parameters"]] == [
        156,
        2416,
        48120,
        10164,
        850,
    ]
    assert document["layers"][0] == {
        "name": "c1.conv", "type": "conv", "runs": 1, "kernel_size": [5, 5], "stride": [1, 1], "padding": [0, 0],
        "output": [6, 28, 28], "size_formula": "1 + (32 + 2*0 - 5)/1 = 28", "weights_per_neuron": 26,
        "weights_formula": "1 + 5*5*1 = 26", "neurons": 4704, "connections": 122_304, "parameters": 156,
        "macs": 117_600, "activation_memory": 18_816, "training_memory": 18_816, "receptive_field": 5, "jump": 1,
        "offset": 2.0,
    }  # fmt: skip


@pytest.mark.parametrize("name", [slow_unless_smallest(name) for name in list_backbones()])
def test_inspect_knows_every_backbone(cli, name):
    code, out, _ = cli("inspect", f"backbone={name}", "format=json")
    assert code == 0
    assert json.loads(out)["backbone"] == name


def test_inspect_draws_a_table_with_totals(cli):
    code, out, _ = cli("inspect", "backbone=resnet50", "num_classes=1000")
    assert code == 0
    assert "layer3.blocks" in out
    assert "6 x bottleneck" in out
    assert "25,557,032" in out


def test_inspect_shows_what_leaves_a_dense_block_not_what_its_last_layer_adds(cli):
    """Huang et al. 2017, table 1: 256, 512, 1024 and 1024 channels leave the blocks of DenseNet-121."""
    _, out, _ = cli("inspect", "backbone=densenet121", "format=json")
    blocks = [layer["output"] for layer in json.loads(out)["layers"] if layer["type"] == "dense"]
    assert blocks == [[256, 56, 56], [512, 28, 28], [1024, 14, 14], [1024, 7, 7]]


def test_inspect_takes_size_and_channels_from_a_data_set_that_is_typed(cli):
    _, out, _ = cli("inspect", "backbone=resnet18", "dataset=digits", "format=json")
    document = json.loads(out)
    assert document["input"] == [1, 32, 32]
    assert document["layers"][-1]["output"][0] == 10


def test_inspect_unfolds_with_depth(cli):
    counts = []
    for depth in (1, 2, 3):
        _, out, _ = cli("inspect", "backbone=resnet18", f"depth={depth}", "format=json")
        document = json.loads(out)
        counts.append(len(document["layers"]))
        assert document["totals"]["parameters"] == 11_176_512
    assert counts == [5, 6, 12]


def test_inspect_shows_a_changed_stage(cli):
    change = "backbone.stages.c1={conv: {type: conv, out_channels: 4, kernel_size: 3}}"
    _, out, _ = cli("inspect", "backbone=lenet", change, "format=json")
    assert [layer["name"] for layer in json.loads(out)["layers"]] == ["c1.conv", "c3.conv", "c3.pool"]


def test_inspect_takes_a_file_of_the_users_own(cli, in_empty_folder):
    (in_empty_folder / "net.yaml").write_text(
        "name: net\nlayer_defaults: {norm: {type: batch, eps: 1e-5}}\n"
        "stages: {a: {conv: {type: conv, out_channels: 4, kernel_size: 3}}}\n"
    )
    code, out, _ = cli("inspect", "backbone=net.yaml", "format=json")
    assert code == 0
    assert json.loads(out)["totals"]["parameters"] == 4 * 27 + 8


def test_inspect_lays_networks_side_by_side(cli):
    code, out, _ = cli("inspect", "backbone=plain56,resnet56", "num_classes=10")
    assert code == 0
    assert "853,018  x 1.00" in out
    assert out.index("stages.layer1.blocks.residual") < out.index("853,018")
    code, out, _ = cli("inspect", "backbone=resnet18,resnet50", "num_classes=1000", "format=json")
    document = json.loads(out)
    assert [one["backbone"] for one in document["backbones"]] == ["resnet18", "resnet50"]
    assert document["ratios"]["parameters"] == [1.0, pytest.approx(25_557_032 / 11_689_512)]
    assert document["differences"]["stages.layer1.blocks.type"] == ["basic", "bottleneck"]
    _, out, _ = cli("inspect", "backbone=resnet18,resnet50", "num_classes=1000", "format=csv")
    assert out.splitlines()[0] == ",resnet18,resnet50"
    assert "parameters,11689512,25557032" in out


def test_inspect_compares_the_users_own_file_with_a_shipped_one(cli, in_empty_folder):
    (in_empty_folder / "net.yaml").write_text(
        "name: net\nstages: {a: {conv: {type: conv, out_channels: 4, kernel_size: 3}}}\n"
    )
    code, out, err = cli("inspect", "backbone=lenet,net.yaml")
    assert code == 0, err
    assert "The backbones alone; num_classes=1000 adds classifiers." in out


def test_inspect_shows_the_share_of_each_stage(cli):
    code, out, _ = cli("inspect", "backbone=vgg16", "num_classes=1000", "by=stage")
    assert code == 0
    assert "89.4 %" in out
    _, out, _ = cli("inspect", "backbone=vgg16,lenet", "num_classes=1000", "by=stage", "format=json")
    first = json.loads(out)["backbones"][0]["stages"][-1]
    assert first["name"] == "head"
    assert first["parameters_share"] == pytest.approx(123_642_856 / 138_357_544)


def test_inspect_lays_whole_detectors_side_by_side(cli):
    code, out, err = cli("inspect", "task=detect", "backbone=lenet,resnet18,resnet50", "num_classes=20", "format=json")
    assert code == 0, err
    document = json.loads(out)
    assert [one["num_classes"] for one in document["backbones"]] == [20, 20, 20]
    assert len(document["ratios"]["macs"]) == 3
    code, out, _ = cli("inspect", "task=detect", "backbone=lenet,resnet18,resnet50")
    assert "The backbones alone; num_classes=1000 adds what stands on them." in out


@pytest.mark.parametrize(("task", "head"), [("segment", "unet"), ("instance", "mask_rcnn"), ("detect", "fcos")])
def test_inspect_shows_the_share_of_neck_and_head(cli, task, head):
    code, out, _ = cli("inspect", f"task={task}", f"head={head}", "backbone=resnet18", "num_classes=5", "by=stage",
                       "format=json")  # fmt: skip
    stages = json.loads(out)["stages"]
    assert code == 0
    assert [stage["name"] for stage in stages][5:] == (["head"] if head == "unet" else ["neck", "head"])
    assert sum(stage["macs"] for stage in stages) == json.loads(out)["totals"]["macs"]


def test_inspect_says_how_often_a_layer_is_done(cli):
    _, out, _ = cli("inspect", "task=instance", "backbone=resnet18", "num_classes=5")
    assert "linear, 200 times" in out
    assert "roi_align, 100 times" in out
    _, out, _ = cli("inspect", "task=segment", "head=fcn", "head.auxiliary={weight: 0.4}", "backbone=resnet18",
                    "num_classes=5")  # fmt: skip
    assert "resize, in training" in out
    _, out, _ = cli("inspect", "task=segment", "backbone=resnet18")
    assert "The backbone alone; num_classes=1000 adds what stands on it." in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("task=segment num_classes=300", "head: found 300 classes, but a mask holds at most 255"),
        ("task=segment num_classes=3 head.class_weights=[1,2]", "expected one number for each of the 3 classes"),
        ("task=segment head=fcos", "With this head: task=detect head=fcos"),
        ("task=instance head=unet", "head 'unet' serves task 'segment', not 'instance'"),
        ("task=segment num_classes=3 image_size=8 backbone=lenet", "image_size="),
        ("task=instance num_classes=3 head.mask_conv=4", "mask_convs"),
    ],
)
def test_inspect_refuses_what_training_refuses_for_every_task(cli, arguments, words):
    code, _, err = cli("inspect", *arguments.split())
    assert code == 2
    assert words in err


def test_inspect_explains_and_warns(cli):
    code, out, _ = cli("inspect", "backbone=alexnet_2012", "num_classes=1000", "explain=true")
    assert code == 0
    assert "96*364 = 34,944: the neurons of a map share their weights" in out
    assert "Mind: head holds 96 % of all parameters" in out
    _, out, _ = cli("inspect", "backbone=lenet", "num_classes=10", "explain=true", "format=json")
    document = json.loads(out)
    assert document["explanations"][0]["lines"]["neurons"] == "28*28*6 = 4,704"
    assert len(document["warnings"]) == 1
    _, out, _ = cli("inspect", "backbone=lenet", "num_classes=10")
    assert "Mind" not in out


@pytest.mark.parametrize("format", ["text", "markdown", "csv"])
@pytest.mark.parametrize("key", ["by=layer", "by=stage"])
def test_inspect_prints_every_format(cli, format, key):
    code, out, err = cli("inspect", "backbone=lenet", "num_classes=10", key, f"format={format}")
    assert (code, err) == (0, "")
    assert "c3" in out
    assert ("parameters: 61,706 (all trainable)" in out) == (format != "csv")


def test_inspect_counts_the_memory_of_a_batch(cli):
    sizes = []
    for batch_size in (1, 32):
        _, out, _ = cli("inspect", "backbone=lenet", f"batch_size={batch_size}", "format=json")
        sizes.append(json.loads(out)["totals"]["peak_training_memory"])
    assert sizes[1] == 32 * sizes[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "seconds"),
    [
        ("backbone=lenet", 1.0),
        ("backbone=densenet201", 1.0),
        ("backbone=efficientnet_v2_l", 1.0),
        ("backbone=regnet_y_32gf image_size=4096 num_classes=1000", 2.0),
    ],
)
def test_inspect_answers_at_once_and_in_little_memory(arguments, seconds):
    """In processor time, the best of three, since other work may share the machine."""
    program = (
        "import os, sys\n"
        "from visionkit.cli.main import main\n"
        "code = main(sys.argv[1:])\n"
        "print(sum(os.times()[:2]), file=sys.stderr)\n"
        "print(open('/proc/self/status').read(), file=sys.stderr)\n"  # getrusage would count the parent's pages too
        "sys.exit(code)"
    )
    used = []
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", program, "inspect", *arguments.split()], capture_output=True, text=True, check=True
        )
        peak = re.search(r"VmHWM:\s+(\d+) kB", done.stderr)
        assert int(peak.group(1)) < 200 * 1024
        used.append(float(done.stderr.split()[0]))
    assert min(used) < seconds


def test_list_shows_every_group_and_its_choices(cli):
    code, out, _ = cli("list", "format=json")
    groups = json.loads(out)
    assert code == 0
    assert {
        "task",
        "backbone",
        "head",
        "dataset",
        "recipe",
        "hardware",
        "logger",
        "experiment",
        "debug",
        "sweep",
        "augment",
        "blocks",
    } == set(groups)
    assert set(groups["backbone"]) == {*list_backbones(), "timm"}
    assert {"auto", "fcos", "fcn", "deeplabv3", "deeplabv3plus", "unet", "fpn", "mask_rcnn"} <= set(groups["head"])
    assert set(groups["task"]) == set(TASKS)
    for group in set(groups) - {"blocks"}:
        assert set(groups[group]) == {file.stem for file in (CONF / group).glob("[!_]*.yaml")}, group
    assert "bottleneck" in groups["blocks"]


@pytest.mark.parametrize("columns", [None, "80", "100", "120", "160"])
def test_list_prints_every_name_and_word_at_any_width(cli, monkeypatch, columns):
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns is not None:
        monkeypatch.setenv("COLUMNS", columns)
    groups = json.loads(cli("list", "format=json")[1])
    words = set(cli("list")[1].split())
    for entries in groups.values():
        for name, text in entries.items():
            assert set(name.split()) | set(text.split()) <= words, name
    assert '"visionkit[timm]";' in words


def test_inspect_has_the_main_columns_and_says_how_to_see_the_rest(cli):
    _, out, _ = cli("inspect", "backbone=lenet", "num_classes=10")
    assert "1 + (32 + 2*0 - 5)/1 = 28" not in out
    assert "columns=all adds jump" in out
    _, out, _ = cli("inspect", "backbone=lenet", "num_classes=10", "columns=all")
    assert "1 + (32 + 2*0 - 5)/1 = 28" in out
    assert "columns=all adds" not in out


@pytest.mark.parametrize("word", ["backbone", "backbones"])
def test_list_takes_one_group_in_the_plural_too(cli, word):
    code, out, _ = cli("list", word)
    assert code == 0
    assert "resnet110" in out
    assert "adamw" not in out


@pytest.mark.parametrize(
    ("what", "name", "text"),
    [
        ("necks", "fpn", "A feature pyramid"),
        ("losses", "cross_entropy (of pixels)", "Mean cross-entropy"),
        ("augmentations", "horizontal_flip", "Mirrors the image, left to right. Keys: p."),
        ("optimizers", "adamw", "Adam with decoupled weight decay"),
        ("schedules", "one_cycle", "A cosine up"),
        ("metrics", "auroc", "The area under the ROC curve"),
        ("callbacks", "timer", "Ends the training after the epoch"),
    ],
)
def test_list_shows_what_each_registry_has(cli, what, name, text):
    code, out, _ = cli("list", what, "format=json")
    assert (code, list(json.loads(out))) == (0, [what])
    assert text in json.loads(out)[what][name]


def test_list_in_a_pipe_is_one_whole_line_an_entry_without_spaces_at_its_end(cli, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    entries = json.loads(cli("list", "backbones", "format=json")[1])["backbone"]
    title, *lines = cli("list", "backbones")[1].splitlines()[: len(entries) + 1]
    assert title == "backbone"
    found = dict([*line.split(maxsplit=1), ""][:2] for line in lines)
    assert found == entries
    assert all(line == line.rstrip() for line in lines)


def test_list_of_an_unknown_word_names_groups_and_registries(cli):
    code, _, err = cli("list", "lossez")
    assert (code, "Did you mean 'losses'?" in err, "schedules" in err) == (2, True, True)


def test_a_folder_of_the_users_own_joins_with_config_dir(cli, in_empty_folder):
    (in_empty_folder / "mine" / "backbone").mkdir(parents=True)
    (in_empty_folder / "mine" / "backbone" / "mynet.yaml").write_text(
        "# My own net\nname: mynet\nstages: {a: {conv: {type: conv, out_channels: 4, kernel_size: 3}}}\n"
    )
    _, out, _ = cli("list", "backbones", "--config-dir", "mine")
    assert "My own net" in out
    code, out, _ = cli("inspect", "--config-dir=mine", "backbone=mynet", "format=json")
    assert (code, json.loads(out)["backbone"]) == (0, "mynet")


def test_a_file_of_the_users_own_with_a_shipped_name_is_refused(cli, in_empty_folder):
    """Hydra would take the shipped one and say nothing."""
    (in_empty_folder / "mine" / "backbone").mkdir(parents=True)
    (in_empty_folder / "mine" / "backbone" / "lenet.yaml").write_text("name: lenet\n")
    code, _, err = cli("inspect", "--config-dir", "mine", "backbone=lenet")
    assert code == 2
    assert "visionkit ships a backbone called 'lenet' already" in err
    assert "Rename 'mine/backbone/lenet.yaml', such as my_lenet.yaml" in err


@pytest.mark.parametrize("verb", ["train", "evaluate", "predict", "inspect", "runs", "compare", "list"])
def test_every_verb_has_help_with_its_own_keys_and_examples(cli, verb):
    from visionkit.cli.verbs import VERBS

    code, out, _ = cli(verb, "--help")
    assert code == 0
    assert all(f"{key}=" in out for key in VERBS[verb].options)
    assert all(example in out for example in VERBS[verb].examples)


def test_version(cli):
    import visionkit

    assert cli("--version")[:2] == (0, f"visionkit {visionkit.__version__}\n")


def test_a_pattern_that_nothing_matches_is_said(cli):
    code, _, err = cli("list", "backbones", "pattern=zzz*")
    assert code == 2
    assert "no backbones matches 'zzz*'" in err


@pytest.mark.parametrize("columns", ["80", "100", "120", "160"])
def test_tables_of_runs_and_metrics_lose_no_word_at_any_width(cli, shared_runs, tmp_path, monkeypatch, columns):
    run = shared_runs.of("classify")
    other = shutil.copytree(run, tmp_path / "b" / "other")
    monkeypatch.setenv("COLUMNS", columns)
    accuracy = f"{json.loads((run / 'metrics.json').read_text())['test/accuracy']:.4f}"
    for words in (("evaluate", f"run={run}", "hardware=cpu"), ("runs", f"root={run.parent}"),
                  ("compare", f"run={run},{other}")):  # fmt: skip
        code, out, err = cli(*words)
        assert code == 0, err
        assert accuracy in out
        assert "…" not in out
        table = [line for line in out.splitlines() if line.startswith(("│", "┃", "┏", "└", " ")) and "/" not in line]
        assert max(map(len, table)) <= int(columns), words[0]
