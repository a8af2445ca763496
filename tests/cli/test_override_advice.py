"""What is told to type for a value of another tool is accepted when it is typed."""

import shlex
from itertools import takewhile

import pytest

from visionkit.cli.compose import group_choices
from visionkit.cli.foreign_words import check_key
from visionkit.cli.override_advice import override_advice
from visionkit.cli.overrides import parse_overrides
from visionkit.cli.resolve import resolve
from visionkit.cli.verbs import VERBS
from visionkit.cli.word_tables import FOREIGN_KEYS
from visionkit.errors import UserError
from visionkit.runs.config import RunConfig

OF_VERBS = ("image_size", "batch_size", "min_score", "run")
KEYS = sorted(set(FOREIGN_KEYS.values()) - set(OF_VERBS))
VALUES = ("-1", "0", "1", "0,1", "0.5", "640,480", "1e3", "1e12", "true", "none", "nonsense")


@pytest.fixture(scope="module")
def composed():
    return {}


@pytest.mark.parametrize("key", KEYS)
def test_what_is_told_to_type_is_accepted(key, composed, tmp_path):
    download = ["dataset=cifar10"] if key == "dataset.download" else ["dataset=folder"]
    accepted = 0
    for value in VALUES:
        words = shlex.split(override_advice(key, value))
        typed = [word.rstrip(",;:") for word in takewhile(lambda word: "=" in word, words)]
        if any(name in typed[0] for name in ("NAME", "FOLDER")):
            continue
        others = [*download, f"dataset.root={tmp_path}", "backbone=resnet18"]
        others = [word for word in others if word.partition("=")[0] != typed[0].partition("=")[0]]
        parsed = parse_overrides(
            [*others, *typed], groups=group_choices([]), options=VERBS["train"].options, verb="train"
        )
        RunConfig.from_plain(resolve(parsed, [], composed=composed), check_data=False)
        accepted += 1
    assert accepted == len(VALUES) or key in ("backbone", "task.metrics")


@pytest.mark.parametrize(
    ("key", "value", "advice"),
    [
        ("recipe.lr", "0,1", "recipe.lr=0.1"),
        ("recipe.epochs", "1e3", "recipe.epochs=1000"),
        ("recipe.epochs", "-5", "recipe.epochs=10, a whole number from 1 to 1000000"),
        ("dataset.image_size", "640,480", "dataset.image_size=[640,480], [HEIGHT,WIDTH]"),
        ("dataset.image_size", "640x480", "dataset.image_size=[640,480], [HEIGHT,WIDTH]"),
        ("dataset.image_size", "-1", "dataset.image_size=224, up to 65536, or [HEIGHT,WIDTH]"),
        ("hardware.devices", "-1", "hardware.devices=auto for all GPUs"),
        ("hardware.precision", "16-mixed", "hardware.precision=16"),
        ("recipe.schedule", "CosineAnnealingLR", "recipe.schedule=cosine"),
        ("dataset.download", "yes", "dataset.download=true"),
    ],
)
def test_a_value_is_written_as_it_is_here(key, value, advice):
    assert override_advice(key, value) == advice


def test_a_loss_is_told_by_the_task():
    assert override_advice("head.loss", "focal", task="segment").startswith("'head.loss={focal: 1.0}'")
    assert override_advice("head.loss", "focal", task="classify") == (
        "'head.loss={cross_entropy: 1.0}': 'focal' is a loss of task=segment; of task=classify there are: cross_entropy"
    )
    assert "belong to its head" in override_advice("head.loss", "focal", task="detect")


def test_the_task_of_the_command_is_known_wherever_it_stands():
    for words in (["loss=focal", "task=segment"], ["task=segment", "loss=focal"]):
        with pytest.raises(UserError, match=r"Type 'head\.loss=\{focal: 1\.0\}'"):
            parse_overrides(words, groups=group_choices([]), options=(), verb="train")


@pytest.mark.parametrize("key", ["mosaic", "mixup", "cutmix", "hsv_h", "ema", "model_ema", "monitor", "save_top_k"])
def test_what_is_not_here_is_said(key):
    with pytest.raises(UserError, match=rf"no key is called '{key}' here\. (No |Leave it out|Type )"):
        check_key(key, "1", verb="train")


@pytest.mark.parametrize(
    ("key", "value", "typed"),
    [
        ("weights", "true", "Type weights=imagenet"),
        ("weights", "False", "Type weights=null"),
        ("backbone.weights", "true", "Type backbone.weights=imagenet"),
        ("callbacks", "[early_stopping]", "Type 'recipe.early_stopping={patience: 5}'"),
        ("callbacks", "[EarlyStopping]", "Type 'recipe.early_stopping={patience: 5}'"),
        ("callbacks", "[ModelCheckpoint]", "always keeps its best and its last checkpoint"),
    ],
)
def test_a_value_of_other_tools_is_told_what_it_is_here(key, value, typed):
    with pytest.raises(UserError) as error:
        check_key(key, value, verb="train")
    assert typed in str(error.value)


@pytest.mark.parametrize(
    ("key", "instead"), [("conf", "min_score=0.3"), ("iou", "the run's own"), ("imgsz", "window=512")]
)
def test_predict_tells_what_it_takes_instead_of_a_training(key, instead):
    with pytest.raises(UserError, match=rf"'{key}=1': predict has no such key\..*{instead}"):
        check_key(key, "1", verb="predict")
