"""The groups recipe, hardware, logger and debug, and their error messages."""

import pytest

from visionkit.config_files import read_group_file
from visionkit.errors import UserError
from visionkit.settings import (
    SCHEDULES,
    Adam,
    AdamW,
    Debug,
    Hardware,
    Logger,
    Muon,
    NoLogger,
    Recipe,
    SaveInterval,
    Sgd,
    describe_duration,
)


def _with(values, dotted, value):
    *path, last = dotted.split(".")
    inner = values
    for key in path:
        inner = inner[key]
    inner[last] = value
    return values


@pytest.mark.parametrize(("name", "kind"), [("sgd", Sgd), ("adam", Adam), ("adamw", AdamW), ("muon", Muon)])
def test_every_recipe_file_is_a_recipe(name, kind):
    recipe = Recipe.from_config(read_group_file("recipe", name))
    assert type(recipe.optimizer) is kind
    assert (recipe.epochs, recipe.batch_size) == (20, 64)


@pytest.mark.parametrize("name", ["auto", "cpu", "gpu", "multi_gpu"])
def test_every_hardware_file_is_read(name):
    expected = {"auto": ("auto", 1), "cpu": ("cpu", 1), "gpu": ("gpu", 1), "multi_gpu": ("gpu", "auto")}
    hardware = Hardware.from_config(read_group_file("hardware", name))
    assert (hardware.accelerator, hardware.devices) == expected[name]


def test_debug_files_are_read():
    assert Debug.from_config(read_group_file("debug", "none")) == Debug(
        limit_batches=None, batch_size=None, epochs=None, compare_contents=True
    )
    assert Debug.from_config(read_group_file("debug", "fast")) == Debug(
        limit_batches=2, batch_size=4, epochs=1, compare_contents=False
    )


def test_precision_may_be_typed_as_a_number():
    assert Hardware.from_config({**read_group_file("hardware", "auto"), "precision": 16}).precision == "16"


@pytest.mark.parametrize("kind", ["constant", "cosine", "step", "poly", "one_cycle"])
def test_the_kind_of_schedule_alone_can_be_changed(kind):
    values = _with(read_group_file("recipe", "sgd"), "schedule.type", kind)
    assert type(Recipe.from_config(values).schedule) is SCHEDULES.get(kind)


@pytest.mark.parametrize(
    ("text", "interval"),
    [
        ("30s", SaveInterval(seconds=30)), ("1h30m", SaveInterval(seconds=5400)),
        ("200 steps", SaveInterval(steps=200)),
        ("1step", SaveInterval(steps=1)),
    ],
)  # fmt: skip
def test_a_run_is_saved_after_a_time_or_some_steps(text, interval):
    assert SaveInterval.parse(text) == interval


@pytest.mark.parametrize("value", [10, "0s", "0 steps", "10", "soon", "10m 5 steps", True])
def test_no_other_interval_is_taken(value):
    values = _with(read_group_file("recipe", "sgd"), "checkpoint_every", value)
    with pytest.raises(
        UserError, match=r"recipe\.checkpoint_every: expected a duration .* or null, found .*Try: recipe"
    ):
        Recipe.from_config(values)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("epochz", 3, "recipe: unknown key 'epochz'. Did you mean 'epochs'?"),
        ("epochs", "many", "recipe.epochs: expected a"),
        ("epochs", 0, "recipe.epochs: expected a number greater than 0 and at most 1000000, found 0"),
        ("batch_size", 0, "recipe.batch_size: expected a number greater than 0 and at most 1048576, found 0"),
        (
            "batch_size",
            10**9,
            "recipe.batch_size: expected a number greater than 0 and at most 1048576, found 1000000000",
        ),
        ("lr", -1.0, "recipe.lr: expected a number greater than 0 and at most 1e+30, found -1.0"),
        ("schedule.type", "cosin", "recipe.schedule: no schedule is called 'cosin'. Did you mean 'cosine'?"),
        ("schedule.milestones", [0.5, 2.0], "recipe.schedule.milestones.1: expected a number from 0 to 1"),
        ("optimizer.type", "sdg", "Did you mean 'sgd'?"),
        (
            "optimizer.momentum",
            1.5,
            "recipe.optimizer.momentum: expected a number of at least 0 and less than 1, found 1.5",
        ),
        ("optimizer.type", "adam", "The whole set of adam: recipe=adam"),
        ("optimizer.momentum", 0, "recipe.optimizer.nesterov: found true with momentum 0"),
        ("early_stopping", {"patience": 0}, "patience: expected a number greater than 0"),
        ("layer_decay", 1.5, "recipe.layer_decay: expected a number greater than 0 and at most 1"),
        ("backbone_lr", 0, "recipe.backbone_lr: expected a number greater than 0"),
        ("freeze", 0, "recipe.freeze: expected a number greater than 0"),
        ("unfreeze_at", 1, "recipe.unfreeze_at: found 1, but nothing is frozen: recipe.freeze is null"),
        ("unfreeze_at", 1.5, "recipe.unfreeze_at: expected a number of epochs such as 3, a share of the run such as"),
        ("unfreeze_at", True, "recipe.unfreeze_at: expected a number of epochs such as 3"),
        ("optimizer.type", "muon", "The whole set of muon: recipe=muon"),
        ("max_time", 90, "such as 30s, 20m, 1h or 1h30m"),
        ("max_time", 90, "found 90. In seconds: 90s"),
        ("max_time", "0s", 'found "0s"'),
        ("max_time", "30m1h", 'in this order), found "30m1h"'),
    ],
)
def test_a_mistake_in_the_recipe_is_named(key, value, words):
    with pytest.raises(UserError) as error:
        Recipe.from_config(_with(read_group_file("recipe", "sgd"), key, value))
    assert words in str(error.value)


def test_a_recipe_without_an_optimizer_says_so():
    values = read_group_file("recipe", "sgd")
    del values["optimizer"]
    with pytest.raises(UserError, match=r"recipe\.optimizer: this key is required"):
        Recipe.from_config(values)


def test_an_unknown_accelerator_is_named():
    with pytest.raises(
        UserError, match=r"hardware\.accelerator: expected 'auto', 'cpu', 'gpu' or 'mps', found \"tpu\""
    ):
        Hardware.from_config({**read_group_file("hardware", "auto"), "accelerator": "tpu"})


def test_a_logger_that_is_not_installed_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr("visionkit.settings.loggers.find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install tensorboard, or logger=none"):
        Logger.from_config(read_group_file("logger", "tensorboard"))
    assert Logger.from_config(read_group_file("logger", "none")) == NoLogger()


def test_a_negative_limit_is_refused():
    with pytest.raises(
        UserError, match=r"debug\.limit_batches: expected a number greater than 0 and at most 1000000, found -1"
    ):
        Debug.from_config({"limit_batches": -1, "batch_size": None, "epochs": None, "compare_contents": True})


@pytest.mark.parametrize(
    ("batch_size", "devices", "num_nodes", "found"),
    [(64, 1, 1, 4), (2, 1, 1, 2), (64, 2, 1, 4), (63, 3, 1, 3), (64, 4, 4, 16), (64, "auto", 1, 4)],
)
def test_fast_debugging_takes_small_batches_that_the_devices_can_divide(batch_size, devices, num_nodes, found):
    recipe = Recipe.from_config({**read_group_file("recipe", "sgd"), "batch_size": batch_size})
    changes = {"devices": devices, "num_nodes": num_nodes}
    hardware = Hardware.from_config({**read_group_file("hardware", "cpu"), **changes})
    short = Debug.from_config(read_group_file("debug", "fast")).shorten(recipe, hardware)
    assert (short.batch_size, short.epochs) == (found, 1)
    assert Debug.from_config(read_group_file("debug", "none")).shorten(recipe, hardware) == recipe


def test_hardware_for_an_exported_file_is_one_process_on_the_cpu_in_full_precision():
    changes = {"accelerator": "gpu", "devices": 4, "num_nodes": 2, "node_rank": 1, "precision": "bf16", "timeout": 7}
    hardware = Hardware.from_config({**read_group_file("hardware", "cpu"), **changes}).on_cpu()
    expected = {"accelerator": "cpu", "devices": 1, "num_nodes": 1, "node_rank": 0, "precision": "32", "timeout": 7}
    assert {key: getattr(hardware, key) for key in expected} == expected


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("20m", 1200), ("1h", 3600), ("1h30m", 5400), ("2d1s", 172_801), ("90m", 5400)]
)
def test_a_duration_is_read_in_seconds(text, seconds):
    assert Recipe.from_config({**read_group_file("recipe", "sgd"), "max_time": text}).max_time == seconds


@pytest.mark.parametrize(("seconds", "text"), [(5400, "1h30m"), (30.4, "30s"), (0.2, "0s"), (172_801, "2d1s")])
def test_a_time_is_described_as_it_is_typed(seconds, text):
    assert describe_duration(seconds) == text


@pytest.mark.parametrize(
    ("changes", "epoch"),
    [
        ({}, None),
        ({"freeze": 2}, None),
        ({"freeze": 2, "unfreeze_at": 3}, 3),
        ({"freeze": 2, "unfreeze_at": 0.25}, 5),
        ({"freeze": 2, "unfreeze_at": 0.001}, 1),
    ],
)
def test_stages_thaw_after_epochs_or_a_share_of_the_run(changes, epoch):
    assert Recipe.from_config({**read_group_file("recipe", "sgd"), **changes}).thaw_epoch == epoch


def test_the_recipe_of_imagenet_is_that_of_torchvision():
    recipe = Recipe.from_config(read_group_file("recipe", "imagenet"))
    assert (recipe.epochs, recipe.batch_size, recipe.lr, recipe.schedule.warmup_epochs) == (600, 1024, 0.5, 5)
    assert recipe.optimizer == Sgd(momentum=0.9, nesterov=False, weight_decay=2e-5)


def test_a_compiled_model_is_not_checkpointed_too():
    values = {**read_group_file("hardware", "auto"), "compile": True, "gradient_checkpointing": True}
    with pytest.raises(UserError, match=r"gradient_checkpointing: found true with hardware.compile=true"):
        Hardware.from_config(values)
