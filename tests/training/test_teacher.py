"""recipe.teacher: who may teach, what a student learns, and what its checkpoints say of it."""

import csv
import shutil

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from tests.helpers.commands import overrides
from visionkit.backbones.feature_info import FeatureInfo
from visionkit.config_files import read_group_file
from visionkit.errors import UserError
from visionkit.settings import Recipe
from visionkit.training.teacher import _class_order, _common_maps, check_same_teacher

SMALL = ("hardware=cpu", "recipe.epochs=2", "recipe.batch_size=32", "debug.limit_batches=6")
SCENES = (
    "task=segment", "hardware=cpu", "dataset.image_size=64", "dataset.scenes={train: 16, val: 8, test: 8}",
    "recipe.batch_size=8",
)  # fmt: skip


def _teacher(run, weight=0.5):
    return f"recipe.teacher={{run: {run}, temperature: 4.0, weight: {weight}}}"


def _photos(folder):
    for split, number in (("train", 12), ("val", 2), ("test", 2)):
        for name in ("cat", "dog"):
            (folder / split / name).mkdir(parents=True)
            for i in range(number):
                Image.linear_gradient("L").rotate(17 * i + len(split)).resize((32, 32)).save(
                    folder / split / name / f"{i}.png"
                )
    return folder


def _rows(folder):
    with open(folder / "metrics.csv", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (5, "recipe.teacher: expected null or a mapping, found 5"),
        ({"temperature": 4.0, "weight": 0.5}, "recipe.teacher: found neither run nor weights"),
        ({"run": "a", "weights": "imagenet"}, "recipe.teacher: found run and weights"),
        ({"weights": "imagenet", "temperature": 4.0, "weight": 0.5}, "recipe.teacher: found weights"),
        ({"run": "a", "weight": 0.5}, "recipe.teacher: found no temperature"),
        ({"run": "a", "temperature": 0.0, "weight": 0.5}, "recipe.teacher.temperature: expected a number greater than"),
        ({"run": "a", "temperature": 1.0, "weight": 1.0, "alpha": 2}, "recipe.teacher: unknown key 'alpha'"),
    ],
)
def test_a_mistake_in_the_teacher_is_named(value, words):
    with pytest.raises(UserError) as error:
        Recipe.from_config({**read_group_file("recipe", "sgd"), "teacher": value})
    assert words in str(error.value)


def test_classes_in_another_order_are_matched_by_name():
    assert _class_order(["a", "b", "c"], ["a", "b", "c"]) is None
    assert _class_order(["c", "a", "b"], ["a", "b", "c"]) == [1, 2, 0]


def test_other_classes_are_refused_with_the_difference():
    with pytest.raises(UserError, match="3 classes apart, and this run 2: the teacher alone has dog, fox; this run"):
        _class_order(["cat", "dog", "fox"], ["cat", "cow"])


def test_maps_are_matched_by_their_strides_and_the_deepest_is_taken():
    def info(*rows):
        return {name: FeatureInfo(name, channels, stride, 0.0) for name, channels, stride in rows}

    student, teacher = info(("a", 8, 4), ("b", 16, 8), ("c", 32, 8)), info(("x", 64, 8), ("y", 64, 16))
    assert _common_maps(student, teacher) == {8: (("c", 32), ("x", 64))}
    with pytest.raises(UserError, match=r"its maps have strides \[16\], and the student's \[4\]"):
        _common_maps(info(("a", 8, 4)), info(("y", 64, 16)))


def test_a_resumed_run_with_another_teacher_is_refused():
    class Other:
        identity = "b"

    check_same_teacher("b", Other())
    with pytest.raises(UserError, match="not those that the run has learnt from so far"):
        check_same_teacher("a", Other())


@pytest.mark.slow
def test_a_student_learns_the_classes_of_its_teacher_and_goes_on_with_it_alone(in_empty_folder, cli, shared_runs):
    """With weight 1 it sees no label; resumed after the first epoch it ends as one that was not interrupted."""
    shutil.copytree(shared_runs.of("classify"), in_empty_folder / "teacher")
    words = (*SMALL, "recipe.lr=0.02", _teacher("teacher", 1.0))
    assert cli(*words, "run_dir=whole")[0] == 0
    rows = _rows(in_empty_folder / "whole")
    assert float(rows[0]["train/loss_task"]) == 0
    assert float(rows[1]["train/loss_distillation"]) < 0.8 * float(rows[0]["train/loss_distillation"])
    content = torch.load(in_empty_folder / "whole/checkpoints/last.ckpt", weights_only=True)
    assert all(name.startswith("model.") for name in content["state_dict"])
    assert len(content["teacher"]) == 64
    code, _, err = cli("train", "run=whole", "resume=true", "recipe.epochs=3", "recipe.teacher.run=elsewhere")
    assert (code, "elsewhere" in err) == (2, True)
    weights = in_empty_folder / "teacher" / "model.safetensors"
    shutil.copy(in_empty_folder / "whole" / "model.safetensors", weights)
    code, _, err = cli("train", "run=whole", "resume=true", "recipe.epochs=3")
    assert (code, "recipe.teacher: its weights are not those" in err) == (2, True)


def test_a_teacher_of_another_task_is_refused_before_anything_is_written(in_empty_folder, cli, shared_runs):
    words = ("task=detect", "backbone=lenet", "hardware=cpu", *SCENES[2:4])
    code, _, err = cli(*words, _teacher(shared_runs.of("classify")), "run_dir=run")
    assert (code, "is a run of task classify, and this one is of detect" in err) == (2, True)
    assert not (in_empty_folder / "run").exists()


def test_a_teacher_of_other_classes_or_channels_is_refused(in_empty_folder, cli, shared_runs):
    teacher = in_empty_folder / "teacher"
    shutil.copytree(shared_runs.of("classify"), teacher)
    words = overrides(_photos(in_empty_folder / "photos"))
    code, _, err = cli(*words, _teacher("teacher"), "run_dir=run")
    assert (code, "was trained with in_channels 1, and the images here have 3" in err) == (2, True)
    code, _, err = cli(*words, "dataset.in_channels=1", _teacher("teacher"), "run_dir=run")
    assert (code, "it tells 10 classes apart, and this run 2" in err) == (2, True)


def test_a_weight_above_one_is_no_share(in_empty_folder, cli, shared_runs):
    code, _, err = cli(*SMALL, _teacher(shared_runs.of("classify"), 2.0), "run_dir=run")
    assert (code, "recipe.teacher.weight: found 2. Expected a share of the loss" in err) == (2, True)


def test_a_teacher_with_plugins_is_not_run_unasked(in_empty_folder, cli, shared_runs):
    teacher = in_empty_folder / "teacher"
    shutil.copytree(shared_runs.of("classify"), teacher)
    config = teacher / "config.yaml"
    config.write_text(config.read_text().replace("plugins: []", "plugins: [evil]"))
    (in_empty_folder / "evil.py").write_text("open('ran', 'w')")
    code, _, err = cli(*SMALL, _teacher("teacher"), "run_dir=run")
    assert (code, "add: plugins=[evil]" in err) == (2, True)
    assert not (in_empty_folder / "ran").exists()


def test_published_classes_teach_no_others(in_empty_folder, cli):
    teacher = "recipe.teacher={weights: imagenet, backbone: resnet18, temperature: 4.0, weight: 0.5}"
    code, _, err = cli(*SMALL, teacher, "run_dir=run")
    assert (code, "resnet18 takes images of 3 channels, and these have 1" in err) == (2, True)


def test_sharded_weights_learn_from_nobody(in_empty_folder, cli, shared_runs):
    words = (*SMALL, "hardware.strategy=fsdp", "run_dir=run")
    code, _, err = cli(*words, _teacher(shared_runs.of("classify")))
    assert (code, "recipe.teacher: found a teacher, which needs whole weights in each process" in err) == (2, True)
    code, _, err = cli(*words, "recipe.on_nan=skip")
    assert (code, "recipe.on_nan: found skip, which needs whole weights in each process" in err) == (2, True)


@pytest.mark.slow
def test_a_student_without_labels_follows_its_teacher_better_than_one_with_labels(in_empty_folder, cli, shared_runs):
    """As the KL divergence of their probabilities on the validation images says, to which both are new."""
    import visionkit as vk

    teacher = shared_runs.of("classify")
    words = ("hardware=cpu", "recipe.epochs=8", "seed=1", "dataset.split_seed=0")
    assert cli(*words, "run_dir=alone")[0] == cli(*words, _teacher(teacher, 1.0), "run_dir=taught")[0] == 0
    images = torch.cat([batch["images"] for batch in vk.build("hardware=cpu")[1].val_dataloader()])
    own = {}
    for name, run in (("teacher", teacher), ("alone", "alone"), ("taught", "taught")):
        found = vk.load(str(run)).predict(list(images))
        own[name] = torch.stack([torch.as_tensor(each.probabilities) for each in found]).double().clamp(min=1e-12)
    apart = {n: float((own["teacher"] * (own["teacher"] / own[n]).log()).sum(1).mean()) for n in ("alone", "taught")}
    assert apart["taught"] < 0.5 * apart["alone"]


@pytest.mark.slow
def test_adapters_are_resumed_exactly_and_are_no_part_of_the_model(in_empty_folder, cli):
    """A student of other channels than its teacher's, in one go and in two."""
    assert cli(*SCENES, "backbone=resnet18", "recipe.epochs=1", "run_dir=teacher")[0] == 0
    words = (*SCENES, "backbone=lenet", "recipe.schedule.type=constant", "recipe.schedule.warmup_epochs=0")
    words = (*words, _teacher("teacher", 1.0))
    assert cli(*words, "recipe.epochs=2", "run_dir=whole")[0] == 0
    assert cli(*words, "recipe.epochs=1", "run_dir=cut")[0] == 0
    assert cli("train", "run=cut", "resume=true", "recipe.epochs=2")[0] == 0
    whole, cut = (torch.load(f"{run}/checkpoints/last.ckpt", weights_only=True) for run in ("whole", "cut"))
    assert any(name.startswith("distillation.adapters.") for name in whole["state_dict"])
    assert all(torch.equal(value, cut["state_dict"][name]) for name, value in whole["state_dict"].items())
    moments = [each["optimizer_states"][0]["state"] for each in (whole, cut)]
    assert all(torch.equal(v, moments[1][i][k]) for i, m in moments[0].items() for k, v in m.items() if v is not None)
    assert not any("distillation" in name for name in load_file("whole/model.safetensors"))
