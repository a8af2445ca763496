"""What is typed behind the verb."""

import re

import pytest

from visionkit.cli.overrides import apply_overrides, parse_overrides, read_value
from visionkit.cli.syntax import Override
from visionkit.data.findings import CATALOGUE
from visionkit.errors import UserError

GROUPS = ("backbone", "dataset")


def typed(*words, options=()):
    return parse_overrides(words, groups=GROUPS, options=options, verb="train")


def test_groups_values_and_options_are_told_apart():
    result = typed("backbone=lenet", "recipe.lr=0.1", "split=val", "~a.b", options=("split",))
    assert result.groups == {"backbone": "lenet"}
    assert result.options == {"split": "val"}
    assert result.values == [Override("recipe.lr", "0.1"), Override("a.b", delete=True)]


def test_two_plus_signs_set_a_value_and_one_adds_it():
    assert typed("++recipe.lr=0.1").values == [Override("recipe.lr", "0.1")]
    assert typed("+recipe.lr=0.1").values == [Override("recipe.lr", "0.1", add=True)]
    config = {"recipe": {"lr": 0.1, "clip_norm": None}}
    apply_overrides(config, [Override("recipe.clip_norm", "1", add=True), Override("recipe.new", "2", add=True)])
    assert config == {"recipe": {"lr": 0.1, "clip_norm": 1, "new": 2}}
    with pytest.raises(UserError, match=r"there is a value already \(0.1\), and \+ adds one. Type recipe.lr=3"):
        apply_overrides(config, [Override("recipe.lr", "3", add=True)])


def test_a_group_that_has_a_choice_takes_no_plus_sign():
    assert typed("++backbone=lenet").groups == {"backbone": "lenet"}
    with pytest.raises(UserError, match=r"there is a backbone already, and \+ adds one"):
        typed("+backbone=lenet")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["lenet"], "'lenet' is neither a verb nor key=value. Type backbone=lenet"),
        (["inspect"], "the verb comes first: python -m visionkit inspect ..."),
        (["elephant"], "'elephant' is neither a verb nor key=value. Expected such as backbone=resnet18"),
        (["=3"], "nothing stands before the ="),
        (["backbone"], "'backbone' has no value. Settings are given as key=value: backbone=VALUE"),
        (["backbone", "vgg11"], "'backbone' has no value. Settings are given as key=value: backbone=vgg11"),
        (["~dataset"], "'dataset' is always there, and nothing takes it away. Type dataset=VALUE"),
        (["~weights"], "'weights' is always there, and nothing takes it away. Type weights=null"),
        (["~experiment"], "there is no experiment unless one is typed"),
    ],
)
def test_what_is_no_override_is_refused_with_what_to_type(words, message):
    with pytest.raises(UserError) as error:
        typed(*words)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("1e-5", 1e-5),
        ("true", True),
        ("null", None),
        ("adam", "adam"),
        ("'a b'", "a b"),
        ("[1,2]", [1, 2]),
        ("{type: adam, lr: 0.1}", {"type": "adam", "lr": 0.1}),
    ],
)
def test_values_are_read_by_hydras_grammar(text, value):
    assert read_value(Override("recipe.x", text)) == value


@pytest.mark.parametrize("path", ["data/my set (1)", "C=D/x,y", "/a/[b]", "~/x"])
def test_paths_are_taken_to_the_letter(path):
    assert read_value(Override("dataset.root", path)) == path


def test_several_values_are_refused_with_the_way_to_quote_a_list():
    with pytest.raises(UserError, match=r"stands for several values"):
        read_value(Override("seed", "0,1"))


def test_what_the_grammar_cannot_read_is_named():
    with pytest.raises(UserError, match=r"'recipe.x=\[1\]\]' cannot be read"):
        read_value(Override("recipe.x", "[1]]"))


def test_a_mapping_given_whole_replaces_and_later_keys_apply_to_it_in_order():
    config = {"stages": {"c1": {"conv": {"k": 5}, "pool": {}}, "c3": {}}}
    apply_overrides(config, [Override("stages.c1", "{conv: {k: 3}}"), Override("stages.c1.conv.k", "7")])
    assert config == {"stages": {"c1": {"conv": {"k": 7}}, "c3": {}}}
    assert list(config["stages"]) == ["c1", "c3"]


@pytest.mark.parametrize("later", [Override("stages.c1", "{conv: {k: 3}}"), Override("stages.c1", delete=True)])
def test_what_a_later_override_would_swallow_is_refused(later):
    config = {"stages": {"c1": {"conv": {"k": 5}}}}
    with pytest.raises(UserError, match=r"would undo 'stages\.c1\.conv\.k=7', which stands before it"):
        apply_overrides(config, [Override("stages.c1.conv.k", "7"), later])
    assert config == {"stages": {"c1": {"conv": {"k": 5}}}}


def test_a_key_is_taken_away_if_it_has_the_typed_value_alone():
    config = {"backbone": {"width": 0.1, "gamma": 2}}
    apply_overrides(config, [Override("backbone.gamma", "2", delete=True)])
    assert config == {"backbone": {"width": 0.1}}
    with pytest.raises(
        UserError, match=r"'~backbone.width=0.2' takes that value away alone, and it is 0.1. Type ~backbone.width"
    ):
        apply_overrides(config, [Override("backbone.width", "0.2", delete=True)])


def test_a_key_the_file_does_not_write_is_added():
    config = {"stages": {"c1": {"conv": {}}}}
    apply_overrides(config, [Override("stages.c1.conv.norm", "group")])
    assert config["stages"]["c1"]["conv"] == {"norm": "group"}


def test_a_key_below_null_makes_the_mapping():
    config = {"recipe": {"early_stopping": None}}
    apply_overrides(config, [Override("recipe.early_stopping.patience", "5")])
    assert config == {"recipe": {"early_stopping": {"patience": 5}}}


def test_a_key_is_taken_away():
    config = {"stages": {"c1": {"pool": {}, "conv": {}}}}
    apply_overrides(config, [Override("stages.c1.pool", delete=True)])
    assert config == {"stages": {"c1": {"conv": {}}}}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (Override("stages.c1.pol", delete=True), "there is nothing to take away. Did you mean 'pool'?"),
        (Override("stages.c2.pool", delete=True), "there is no 'c2'. Did you mean 'c1'?"),
        (Override("stage.c1", "3"), "there is no 'stage'. Did you mean 'stages'?"),
        (Override("seed.x", "3"), "a plain value"),
        (Override("seed.x.y", "3"), "a plain value"),
    ],
)
def test_what_is_not_there_is_named_with_the_nearest(override, message):
    with pytest.raises(UserError) as error:
        apply_overrides({"seed": 0, "stages": {"c1": {"pool": {}}}}, [override])
    assert message in str(error.value)


def test_the_maps_of_colours_that_findings_suggest_can_be_typed():
    (word,) = re.findall(r"'(dataset.class_map=.*?})'", CATALOGUE["mask-coloured"].remedy.format())
    (override,) = typed(word).values
    assert read_value(override) == {"0,0,0": "background", "128,0,0": "thing"}


@pytest.mark.parametrize(("key", "instead"), [("recipe.lr", "VALUE"), ("recipe.clip_norm", "null")])
def test_a_key_that_a_group_always_has_is_not_taken_away(key, instead):
    plain = {"recipe": {"lr": 0.1, "clip_norm": 1.0}}
    with pytest.raises(
        UserError, match=rf"'{key.split('.')[1]}' is always there.*Type {key}={instead}, or leave it out"
    ):
        apply_overrides(plain, [Override(key, delete=True)])


def test_a_list_in_round_brackets_is_told_with_square_ones():
    with pytest.raises(UserError, match=r"Type 'dataset\.image_size=\[64,64\]'"):
        read_value(Override("dataset.image_size", "(64,64)"))
