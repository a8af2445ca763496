"""Words of other tools, and what each is told to type."""

import pytest

from visionkit.cli.foreign_words import check_flag, check_key, check_verb, explain_word
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
        ("optimizer", "AdamW", "recipe=adamw"),
        ("warmup_epochs", "3", "recipe.schedule.warmup_epochs=3"),
        ("size", "64", "dataset.image_size=64"),
        ("sched", "cosine", "recipe.schedule=cosine"),
        ("recipe.learning_rate", "0.1", "recipe.lr=0.1"),
        ("recipe.warmup", "3", "recipe.schedule.warmup_epochs=3"),
        ("hardware.gpus", "2", "hardware.devices=2"),
        ("data", '"photos"', "dataset.root=photos"),
        ("warmup", "5", "recipe.schedule.warmup_epochs=5"),
        ("early_stopping", "5", "'recipe.early_stopping={patience: 5}'"),
        ("fliplr", "0.5", "dataset.augment.horizontal_flip.p=0.5"),
        ("label_smoothing", "0.1", "head.label_smoothing=0.1"),
        ("weights_path", "a.pt", "weights=a.pt"),
        ("work_dir", "x", "run_dir=x"),
        ("freeze", "2", "recipe.freeze=2"),
        ("frozen_stages", "backbone", "recipe.freeze=2, the number of stages of the backbone, from the image"),
        ("max_time", "00:01:00:00", "recipe.max_time=20m, also 30s or 1h30m"),
        ("max_time", "20m", "recipe.max_time=20m"),
        ("grad_checkpointing", "1", "hardware.gradient_checkpointing=true"),
        ("lr_scheduler", "PolyLR", "recipe.schedule=poly"),
        ("opt", "muon", "recipe=muon"),
        ("conf", "0.3", "python -m visionkit predict ... min_score=0.3"),
    ],
)
def test_a_key_of_other_tools_has_its_value_carried_over(key, value, typed):
    with pytest.raises(UserError) as error:
        check_key(key, value, verb="train")
    assert str(error.value).endswith(f"Type {typed}")


def test_keys_of_the_sections_themselves_and_names_of_augmentations_are_left_alone():
    for key in ("recipe.epochs", "recipe.early_stopping", "recipe.accumulate", "dataset.augment.RandomCrop"):
        check_key(key, "5", verb="train")


def test_inspect_has_image_and_batch_size_of_its_own():
    for key, meant in (("imgsz", "image_size"), ("batch", "batch_size"), ("batchsize", "batch_size")):
        with pytest.raises(UserError, match=rf"Did you mean '{meant}'\? Type {meant}=64"):
            check_key(key, "64", verb="inspect")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("model", "yolov8n.pt", "Type backbone=NAME, such as backbone=resnet18"),
        ("data", "coco128.yaml", "Type dataset=yolo dataset.root=FOLDER"),
        ("loss", "focal", "Type 'head.loss={cross_entropy: 1.0}': 'focal' is a loss of task=segment"),
        ("ckpt", "a.ckpt", "or weights=a.ckpt for weights alone"),
        ("gpu", "0", "Type hardware=gpu"),
        ("fp16", "true", "Type hardware.precision=16"),
        ("classes", "3", "Leave it out: the data set says how many classes there are"),
        ("device", "0", "Type hardware=cpu or hardware=gpu"),
        ("num_classes", "3", "Leave it out: the data set says how many classes there are"),
        ("hydra.job.chdir", "true", "'hydra.job.chdir=true' does nothing here"),
        ("hydra/job_logging", "disabled", "Leave it out."),
        ("split", "val", "'split' is a key of evaluate and benchmark alone"),
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
        (["convert"], "Type: python -m visionkit export run=latest to=onnx"),
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


@pytest.mark.parametrize("verb", ["evaluate", "predict"])
@pytest.mark.parametrize("key", ["model", "ckpt", "checkpoint", "weights_path"])
def test_the_model_of_a_finished_run_is_named_by_run(verb, key):
    with pytest.raises(UserError, match=r"takes the model of a run\. Type run=FOLDER, or run=latest"):
        check_key(key, "a.ckpt", verb=verb)


def test_a_folder_without_a_key_is_a_run_or_the_images(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("r3", "photos"):
        (tmp_path / name).mkdir()
    (tmp_path / "r3" / "config.yaml").write_text("task: classify")
    assert explain_word("r3", verb="evaluate").endswith("Type run=r3")
    assert explain_word("r3", verb="predict").endswith("Type run=r3")
    assert explain_word("photos", verb="predict").endswith("Type source=photos")
