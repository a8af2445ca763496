"""Words of other tools, and what each is told to type."""

import pytest

from visionkit.cli.foreign_words import check_flag, check_key, check_verb
from visionkit.errors import UserError


@pytest.mark.parametrize(
    ("key", "value", "typed"),
    [
        ("epochs", "5", "recipe.epochs=5"),
        ("Epochs", "5", "recipe.epochs=5"),
        ("max-epochs", "5", "recipe.epochs=5"),
        ("trainer.max_epochs", "5", "recipe.epochs=5"),
        ("model.lr", "0.1", "recipe.lr=0.1"),
        ("RECIPE.LR", "0.1", "recipe.lr=0.1"),
        ("Task", "detect", "task=detect"),
        ("model", "vgg11", "backbone=vgg11"),
        ("optimizer", "AdamW", "recipe.optimizer=adamw"),
        ("warmup_epochs", "3", "recipe.schedule.warmup_epochs=3"),
        ("conf", "0.3", "python -m visionkit predict ... min_score=0.3"),
    ],
)
def test_a_key_of_other_tools_has_its_value_carried_over(key, value, typed):
    with pytest.raises(UserError) as error:
        check_key(key, value, verb="train")
    assert str(error.value).endswith(f"Type {typed}")


def test_inspect_has_image_and_batch_size_of_its_own():
    for key, meant in (("imgsz", "image_size"), ("batch", "batch_size"), ("batchsize", "batch_size")):
        with pytest.raises(UserError, match=rf"Did you mean '{meant}'\? Type {meant}=64"):
            check_key(key, "64", verb="inspect")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("model", "yolov8n.pt", "Type backbone=NAME, such as backbone=resnet18"),
        ("data", "coco128.yaml", "Type dataset=yolo dataset.root=FOLDER"),
        ("device", "0", "Type hardware=cpu or hardware=gpu"),
        ("num_classes", "3", "Leave it out: the data set says how many classes there are"),
        ("hydra.job.chdir", "true", "'hydra.job.chdir=true' does nothing here"),
        ("hydra/job_logging", "disabled", "Leave it out."),
        ("split", "val", "'split' is a key of evaluate alone"),
    ],
)
def test_a_key_without_a_counterpart_is_told_the_way(key, value, message):
    with pytest.raises(UserError) as error:
        check_key(key, value, verb="train")
    assert message in str(error.value)


@pytest.mark.parametrize("key", ["seed", "recipe.lr", "backbone.stages.c1.conv.kernel_size", "recipe.epochs"])
def test_keys_that_are_known_here_pass(key):
    check_key(key, "1", verb="train")


@pytest.mark.parametrize(
    ("flag", "following", "hint"),
    [
        ("--backbone", "lenet", "Settings have no dashes: backbone=lenet"),
        ("--batch-size=8", "", "Settings have no dashes: recipe.batch_size=8"),
        ("--split", "val", "Settings have no dashes: split=val"),
        ("--lr", "--epochs", "Settings have no dashes: recipe.lr=VALUE"),
        ("--fast-dev-run", "", "Type debug=fast"),
        ("--hlep", "", "Did you mean '--help'?"),
        ("-x", "", "Flags: -m, --help."),
    ],
)
def test_a_flag_of_other_tools_is_told_as_a_setting(flag, following, hint):
    with pytest.raises(UserError) as error:
        check_flag(flag, following, known=("-m", "--help"))
    assert hint in str(error.value)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["fit"], "Type: python -m visionkit train"),
        (["Train"], "Did you mean 'train'?"),
        (["export"], "there is no verb 'export' yet."),
        (["check"], "there is no verb 'check' yet."),
        (["resnet50"], "Type backbone=resnet50"),
        (["nets/mine.yaml"], "Type backbone=nets/mine.yaml"),
        (["backbone", "vgg11"], "backbone=vgg11"),
        (["trian"], "Did you mean 'train'?"),
    ],
)
def test_a_word_in_the_place_of_the_verb_is_told_what_to_type(words, message):
    with pytest.raises(UserError) as error:
        check_verb(words[0], words[1:])
    assert message in str(error.value)
