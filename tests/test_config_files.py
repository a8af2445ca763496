"""conf/ is read alike by Hydra and by the plain reader, and holds every default value."""

from dataclasses import MISSING, fields

import pytest

from visionkit import create_model
from visionkit.cli.compose import compose
from visionkit.config_files import complete, group_names, overlay, read_group_file, task_choices
from visionkit.data.sources import SOURCES, parse_source, read_source
from visionkit.errors import UserError
from visionkit.heads import HEADS, parse_head, read_head
from visionkit.heads.segmentation.spec import Auxiliary
from visionkit.necks import NECKS
from visionkit.settings import LOGGERS, OPTIMIZERS, Debug, EarlyStopping, Hardware, Recipe, Schedule
from visionkit.tasks.info import TASKS

GROUPS = ("head", "dataset", "recipe", "hardware", "logger", "debug")
FILES = [(group, name) for group in GROUPS for name in group_names(group)]


@pytest.mark.parametrize(("group", "name"), FILES)
def test_hydra_and_the_plain_reader_read_the_same_values_in_the_same_order(group, name):
    composed = compose({group: name}, config_dirs=())[group]
    assert repr(read_group_file(group, name)) == repr(composed)


@pytest.mark.parametrize("name", group_names("head"))
def test_a_head_is_the_same_for_the_library_and_the_command_line(name):
    values = compose({"head": name}, config_dirs=())["head"]
    task = HEADS.get(values["type"]).task
    assert read_head(name, task=task) == read_head({"type": name}, task=task) == parse_head(values, task=task)


@pytest.mark.parametrize("name", group_names("dataset"))
def test_a_data_set_is_the_same_for_the_library_and_the_command_line(name):
    values = compose({"dataset": name}, config_dirs=())["dataset"]
    assert read_source(name) == read_source({"type": name}) == parse_source(values)


@pytest.mark.parametrize("task", TASKS)
def test_the_head_of_a_task_is_the_same_for_the_library_and_the_command_line(task):
    plain = compose({"task": task, "backbone": "resnet18"}, config_dirs=())
    assert read_head(None, task=task) == parse_head(plain["head"], task=task)
    assert task_choices(task)["head"] in (task_choices(task)["head"].removesuffix("_small") + "_small", "auto")


@pytest.mark.parametrize(
    ("head", "parameters"),
    [("fcos", 7_923_720), ("fcos_small", 362_248)],  # the first as torchvision's FCOS on the pyramid of a ResNet-18
)
def test_a_detector_has_as_many_parameters_from_the_command_line_as_from_the_library(cli, head, parameters):
    import json

    import torch

    words = ("task=detect", "backbone=resnet18", f"head={head}", "num_classes=3", "format=json", "depth=1")
    _, out, _ = cli("inspect", *words)
    with torch.device("meta"):
        model = create_model("detect", "resnet18", num_classes=3, head=head)
    built = sum(p.numel() for p in model.parameters())
    assert json.loads(out)["totals"]["parameters"] == built
    assert built - sum(p.numel() for p in model.backbone.parameters()) == parameters


SPECS = [
    *(registry.get(name) for registry in (HEADS, NECKS, SOURCES, OPTIMIZERS, LOGGERS) for name in registry.names()),
    Auxiliary, Recipe, Schedule, EarlyStopping, Hardware, Debug,
]  # fmt: skip


@pytest.mark.parametrize("spec", [s for s in SPECS if s.__module__.startswith("visionkit.")], ids=lambda s: s.__name__)
def test_a_specification_has_no_default_values_of_its_own(spec):
    with_default = [
        f.name for f in fields(spec) if f.init and (f.default is not MISSING or f.default_factory is not MISSING)
    ]
    assert with_default == []


def test_mappings_are_merged_and_other_values_replaced():
    base = {"neck": {"a": 1, "b": [1, 2]}, "x": {"y": 1}}
    assert overlay(base, {"neck": {"b": [3]}, "x": None}) == {"neck": {"a": 1, "b": [3]}, "x": None}
    assert base["neck"]["b"] == [1, 2]


def test_keys_that_are_given_lie_on_top_of_the_file_and_an_empty_mapping_clears():
    values = complete("dataset", {"type": "folder", "root": "x", "augment": {}}, SOURCES)
    assert values == {**read_group_file("dataset", "folder"), "root": "x", "augment": {}}
    head = read_head({"type": "fcos_small", "neck": {"num_levels": 3}}, task="detect")
    assert (head.neck.num_levels, head.neck.out_channels, head.num_convs) == (3, 64, 2)


def test_values_that_were_read_can_be_changed_without_changing_the_next_reading():
    read_group_file("recipe", "sgd")["schedule"]["type"] = "step"
    assert read_group_file("recipe", "sgd")["schedule"]["type"] == "cosine"


def test_a_file_of_the_users_inherits_from_a_shipped_one(tmp_path):
    (tmp_path / "head").mkdir()
    (tmp_path / "head" / "mine.yaml").write_text("defaults: [fcos_small]\nnum_convs: 1\n")
    values = read_group_file("head", "mine", [tmp_path])
    assert values == {**read_group_file("head", "fcos_small"), "num_convs": 1}
    assert compose({"head": "mine", "task": "detect"}, config_dirs=[tmp_path])["head"] == values
    assert "mine" in group_names("head", [tmp_path])


def test_files_that_others_share_are_no_choices():
    assert not [name for group in GROUPS for name in group_names(group) if name.startswith("_")]
    with pytest.raises(UserError, match="no head is called '_dense'"):
        compose({"head": "_dense"}, config_dirs=())


def test_a_name_that_is_nowhere_lists_those_there_are():
    with pytest.raises(UserError, match=r"no head is called 'fcoss'. Did you mean 'fcos'\? Known: .*fcos_small"):
        read_head("fcoss", task="detect")
    with pytest.raises(UserError, match=r"no dataset is called 'voc2'. Did you mean 'voc'\? Known: .*yolo"):
        read_source("voc2")
    with pytest.raises(UserError, match=r"no task is called 'detekt'\. Did you mean 'detect'"):
        read_head(None, task="detekt")


def test_a_file_that_is_no_mapping_or_has_an_alias_is_refused(tmp_path):
    (tmp_path / "head").mkdir()
    for text, message in (("- 1\n", "expected keys and values"), ("a: &x 1\nb: *x\n", "the alias '.x' is not allowed")):
        (tmp_path / "head" / "odd.yaml").write_text(text)
        with pytest.raises(UserError, match=message):
            read_group_file("head", "odd", [tmp_path, tmp_path / text[:1]])
