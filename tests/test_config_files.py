"""conf/ is read alike by Hydra and by the plain reader, and holds every default value."""

from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import get_args, get_type_hints

import pytest

from tests.helpers.bare_networks import meta_device
from visionkit import create_model
from visionkit.backbones import list_backbones, load_backbone_file
from visionkit.backbones.files import backbone_file
from visionkit.blocks import Activation, Init
from visionkit.blocks.normalization import Norm
from visionkit.cli.compose import compose, group_choices
from visionkit.cli.overrides import parse_overrides
from visionkit.cli.resolve import resolve
from visionkit.config_files import complete, conf_folder, group_names, overlay, read_group_file, task_choices
from visionkit.data.augment.base import AugmentSpec
from visionkit.data.augment.presets import AugmentPreset
from visionkit.data.sources import SOURCES, parse_source, read_source
from visionkit.data.sources.digits.scene_settings import Scenes
from visionkit.data.sources.split_files import SplitPaths
from visionkit.data.sources.voc.source import VocMasks
from visionkit.errors import UserError
from visionkit.heads import HEADS, parse_head, read_head
from visionkit.heads.segmentation.spec import Auxiliary
from visionkit.losses.spec import BoxLossSpec, FocalSpec, LossSpec
from visionkit.necks import NECKS, NeckSpec
from visionkit.settings import (
    LOGGERS,
    OPTIMIZERS,
    SCHEDULES,
    Debug,
    EarlyStopping,
    Ema,
    Hardware,
    Mix,
    Optimizer,
    Recipe,
    Schedule,
)
from visionkit.settings.teacher import Teacher
from visionkit.tasks.info import TASKS

GROUPS = ("head", "dataset", "recipe", "hardware", "logger", "debug")
FILES = [(group, name) for group in GROUPS for name in group_names(group)]


@cache
def composed_by_hydra(group):
    """The values of all files of a group by their names, in one composition: ``+head@files.fcos=fcos`` and so on."""
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from omegaconf import OmegaConf

    names = list_backbones() if group == "backbone" else group_names(group)
    with initialize_config_dir(config_dir=str(conf_folder()), version_base="1.3"):
        config = hydra_compose(overrides=[f"+{group}@files.{name}='{name}'" for name in names])
    found = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)["files"]
    assert list(found) == names
    return found


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_of_the_command_line_is_what_hydra_reads_by_itself(group):
    name = group_names(group)[-1]
    assert repr(compose({group: name}, config_dirs=())[group]) == repr(composed_by_hydra(group)[name])


@pytest.mark.parametrize(("group", "name"), FILES)
def test_hydra_and_the_plain_reader_read_the_same_values_in_the_same_order(group, name):
    assert repr(read_group_file(group, name)) == repr(composed_by_hydra(group)[name])


@pytest.mark.parametrize("name", group_names("head"))
def test_a_head_is_the_same_for_the_library_and_the_command_line(name):
    values = composed_by_hydra("head")[name]
    task = HEADS.get(values["type"]).task
    assert read_head(name, task=task) == read_head({"type": name}, task=task) == parse_head(values, task=task)


@pytest.mark.parametrize("name", group_names("dataset"))
def test_a_data_set_is_the_same_for_the_library_and_the_command_line(name):
    values = composed_by_hydra("dataset")[name]
    assert read_source(name) == read_source({"type": name}) == parse_source(values)


@pytest.mark.parametrize("task", TASKS)
def test_the_head_of_a_task_is_the_same_for_the_library_and_the_command_line(task):
    plain = compose({"task": task, "backbone": "resnet18"}, config_dirs=())
    assert read_head(None, task=task) == parse_head(plain["head"], task=task)
    assert task_choices(task)["head"] in (task_choices(task)["head"].removesuffix("_small") + "_small", "auto", task)


@pytest.mark.parametrize(
    ("head", "parameters"),
    [("fcos", 7_923_720), ("fcos_small", 362_248)],  # the first as torchvision's FCOS on the pyramid of a ResNet-18
)
def test_a_detector_has_as_many_parameters_from_the_command_line_as_from_the_library(cli, head, parameters):
    import json

    words = ("task=detect", "backbone=resnet18", f"head={head}", "num_classes=3", "format=json", "depth=1")
    _, out, _ = cli("inspect", *words)
    with meta_device():
        model = create_model("detect", "resnet18", num_classes=3, head=head)
    built = sum(p.numel() for p in model.parameters())
    assert json.loads(out)["totals"]["parameters"] == built
    assert built - sum(p.numel() for p in model.backbone.parameters()) == parameters


EXEMPT = (Activation, AugmentSpec, BoxLossSpec, Init, LossSpec, NeckSpec, Norm, Optimizer, Schedule)
"""Blocks keep their default values, augmentations have torchvision's; the others are those in their registries."""

PARTIAL = (SplitPaths,)
"""Of these an absent field means that there is none: a split that is looked for."""

SPECS = [
    *(table.get(name) for table in (HEADS, NECKS, SOURCES, OPTIMIZERS, SCHEDULES, LOGGERS) for name in table.names()),
    AugmentPreset, Auxiliary, Scenes, VocMasks, Recipe, EarlyStopping, Ema, Mix, Teacher, Hardware, Debug,
]  # fmt: skip


@pytest.mark.parametrize("spec", [s for s in SPECS if s.__module__.startswith("visionkit.")], ids=lambda s: s.__name__)
def test_a_specification_has_no_default_values_of_its_own(spec):
    with_default = [
        f.name for f in fields(spec) if f.init and (f.default is not MISSING or f.default_factory is not MISSING)
    ]
    assert with_default == []
    nested = {t for hint in get_type_hints(spec).values() for t in (hint, *get_args(hint)) if is_dataclass(t)}
    assert nested <= {*SPECS, *PARTIAL, *EXEMPT}


def test_mappings_are_merged_and_other_values_replaced():
    base = {"neck": {"a": 1, "b": [1, 2]}, "x": {"y": 1}}
    assert overlay(base, {"neck": {"b": [3]}, "x": None}) == {"neck": {"a": 1, "b": [3]}, "x": None}
    assert base["neck"]["b"] == [1, 2]


def resolved(*arguments):
    """The configuration that the command line makes of its words."""
    parsed = parse_overrides(arguments, groups=group_choices(()), options=(), verb="train")
    return resolve(parsed, ())


def test_keys_that_are_given_replace_those_of_the_file():
    values = complete("dataset", {"type": "folder", "root": "x", "augment": {"rotation": {"degrees": 5}}}, SOURCES)
    assert values == {**read_group_file("dataset", "folder"), "root": "x", "augment": {"rotation": {"degrees": 5}}}
    head = read_head({"type": "unet_small", "loss": {"focal": 1.0}}, task="segment")
    assert head.loss == (FocalSpec(weight=1.0),)
    assert resolved("task=segment", "head.loss={focal: 1.0}")["head"]["loss"] == {"focal": 1.0}


def test_settings_within_settings_keep_what_is_not_given_in_either_form():
    expected = {**read_group_file("head", "fcos_small"), "neck": {**pyramid_of("fcos_small"), "num_levels": 3}}
    assert complete("head", {"type": "fcos_small", "neck": {"num_levels": 3}}, HEADS) == expected
    assert resolved("task=detect", "head.neck={num_levels: 3}")["head"] == expected
    assert resolved("head={type: fcos_small}", "head.neck={num_levels: 3}")["head"] == expected
    scenes = read_group_file("dataset", "digits")["scenes"]
    assert resolved("dataset.scenes={train: 50}")["dataset"]["scenes"] == {**scenes, "train": 50}


def pyramid_of(name):
    return read_group_file("head", name)["neck"]


@pytest.mark.parametrize(
    ("words", "group", "name"),
    [
        (("task=detect", "head.type=fcos"), "head", "fcos"),
        (("task=detect", "head={type: fcos}"), "head", "fcos"),
        (("task=instance", "head.type=mask_rcnn"), "head", "mask_rcnn"),
        (("dataset.type=masks",), "dataset", "masks"),
    ],
)
def test_a_type_begins_its_group_anew(words, group, name):
    assert resolved(*words)[group] == read_group_file(group, name)


def test_keys_of_a_group_that_began_anew_can_be_changed_and_taken_away():
    assert resolved("head.dropout=0.5", "head.type=mlp")["head"] == {**read_group_file("head", "mlp"), "dropout": 0.5}
    values = resolved("dataset={type: folder, root: x}", "~dataset.augment.horizontal_flip")["dataset"]
    assert values == {**read_group_file("dataset", "folder"), "root": "x", "augment": {}}
    with pytest.raises(UserError, match=r"'~head\.norm': 'norm' is always there, and nothing takes it away"):
        resolved("head={type: fcos}", "~head.norm")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("defaults: fcos\n", "defaults: expected a list of files of the same group"),
        ("defaults: [{override /recipe: adam}]\n", "defaults: expected a list of files of the same group"),
        ("defaults: [/head/fcos@_here_]\n", "defaults: expected a list of files of the same group"),
        ("defaults: [odd]\n", "odd inherit from each other in a circle"),
        ("defaults: [fcos]\nnum_convs: ${seed}\n", "interpolations such as .* are not read"),
    ],
)
def test_what_one_reader_alone_would_understand_is_refused_by_both(tmp_path, text, message):
    (tmp_path / "head").mkdir()
    (tmp_path / "head" / "odd.yaml").write_text(text)
    with pytest.raises(UserError, match=message):
        read_group_file("head", "odd", [tmp_path])
    with pytest.raises(UserError, match=message):
        compose({"head": "odd", "task": "detect"}, config_dirs=[tmp_path])


def test_a_file_of_the_users_is_read_anew_and_hides_no_shipped_one(tmp_path):
    (tmp_path / "head").mkdir()
    for number in (1, 2):
        (tmp_path / "head" / "mine.yaml").write_text(f"defaults: [fcos]\nnum_convs: {number}\n")
        assert read_group_file("head", "mine", [tmp_path])["num_convs"] == number
    (tmp_path / "head" / "_dense.yaml").write_text("candidates: 7\n")
    assert read_group_file("head", "fcos", [tmp_path]) == read_group_file("head", "fcos")


@pytest.mark.parametrize("values", [{"num_convs": 2}, {"type": None}, {"type": ["fcos"]}])
def test_a_mapping_without_a_type_says_what_is_expected(values):
    with pytest.raises(UserError, match="head: expected a mapping whose 'type' is one of auto, conv"):
        read_head(values, task="detect")


def test_hydra_and_the_plain_reader_read_the_same_backbones():
    composed = composed_by_hydra("backbone")
    plain = {name: load_backbone_file(backbone_file(name)) for name in list_backbones()}
    assert [name for name in plain if repr(composed[name]) != repr(plain[name])] == []
    assert repr(compose({"backbone": "resnet18"}, config_dirs=())["backbone"]) == repr(plain["resnet18"])


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
