"""What a user brings: blocks, heads, data sets and pictures of their own."""

import json

import pytest
import yaml


def test_a_folder_of_images_trains_with_a_saved_split_and_balanced_class_weights(cli, in_empty_folder):
    from PIL import Image

    for name, shade, count in (("dark", 40, 24), ("light", 200, 12)):
        (in_empty_folder / "pictures" / name).mkdir(parents=True)
        for i in range(count):
            Image.new("RGB", (40 + i % 3, 36), (shade + i, shade, shade)).save(
                in_empty_folder / "pictures" / name / f"{i}.png"
            )
    (in_empty_folder / "pictures" / "light" / "broken.png").write_bytes(b"no image")
    code, out, err = cli(
        "dataset=folder", "dataset.root=pictures", "dataset.image_size=32", "backbone=resnet20", "recipe.epochs=2",
        "head.class_weights=balanced", "hardware=cpu", "run_dir=out", "format=json",
    )  # fmt: skip
    assert code == 0, err
    assert "broken.png" in err
    assert (in_empty_folder / "out" / "splits.json").is_file()
    weights = json.loads((in_empty_folder / "out" / "data.json").read_text())["class_weights"]
    assert weights[1] == pytest.approx(2 * weights[0], rel=0.15)
    again = json.loads(cli("evaluate", "run=out", "format=json")[1])
    assert again["metrics"]["test/accuracy"] == json.loads(out)["metrics"]["test/accuracy"]


def test_without_a_test_split_validation_is_reported_and_said(cli, in_empty_folder):
    from PIL import Image

    for split in ("train", "val"):
        for name, shade in (("dark", 40), ("light", 200)):
            (in_empty_folder / "pictures" / split / name).mkdir(parents=True)
            for i in range(6):
                Image.new("L", (32, 32), shade + i + 10 * (split == "val")).save(
                    in_empty_folder / "pictures" / split / name / f"{split}{i}.png"
                )
    code, out, _ = cli(
        "dataset=folder", "dataset.root=pictures", "dataset.image_size=32", "dataset.in_channels=1", "debug=fast",
        "hardware=cpu", "run_dir=out",
    )  # fmt: skip
    assert code == 0
    assert "There is no test split" in out
    metrics = json.loads((in_empty_folder / "out" / "metrics.json").read_text())
    assert "val/accuracy" in metrics
    assert not any(name.startswith("test/") for name in metrics)
    code, _, err = cli("evaluate", "run=out", "split=test")
    assert code == 2
    assert "test" in err


PLUGIN = """
from dataclasses import dataclass

from visionkit.blocks import AdaptivePool, Flatten, Linear, Sequential
from visionkit.data.sources import SOURCES, Source, Splits
from visionkit.heads import ClassificationSpec, head


@head("my_head", module="visionkit.heads.classification.head:ClassificationHead")
@dataclass(frozen=True, kw_only=True)
class MyHead(ClassificationSpec):
    size: int = 2

    def parts(self, backbone, *, num_classes):
        output = Linear(out_features=num_classes)
        return Sequential({"pool": AdaptivePool(size=self.size, kind="max"), "flatten": Flatten(), "output": output})


@SOURCES.register("my_stripes")
@dataclass(frozen=True, kw_only=True)
class Stripes(Source):
    image_size: int = 32
    count: int = 40

    def info(self):
        return self.describe(("across", "down"), in_channels=1)

    def splits(self, *, seed, saved=None, strict=False):
        import torch
        from visionkit.data.dataset import TensorDataset

        labels = torch.arange(self.count) % 2
        stripes = (torch.arange(32) // 4 % 2 * 255).to(torch.uint8).expand(32, 32)
        images = torch.stack([stripes if label else stripes.T for label in labels.tolist()])[:, None]
        positions = torch.arange(self.count).split(self.count // 2)
        names = ("train", "val")
        return Splits({n: TensorDataset(images, labels, p, prefix=n) for n, p in zip(names, positions)})
"""


@pytest.fixture
def my_things(in_empty_folder, monkeypatch):
    """An empty folder with the module ``my_things``."""
    (in_empty_folder / "my_things.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(str(in_empty_folder))
    return in_empty_folder


def test_a_plugin_brings_a_head_and_a_data_set_of_somebody_elses(cli, my_things):
    code, out, err = cli(
        "plugins=[my_things]", "head={type: my_head, size: 3}", "dataset={type: my_stripes, count: 64}",
        "recipe.epochs=4", "hardware=cpu", "format=json", "run_dir=out",
    )  # fmt: skip
    assert code == 0, err
    assert json.loads(out)["metrics"]["val/accuracy"] == 1.0
    code, out, _ = cli("evaluate", "run=out", "plugins=[my_things]", "format=json")
    assert json.loads(out)["metrics"]["val/accuracy"] == 1.0


@pytest.mark.parametrize("words", [("dataset=my_stripes",), ("dataset.type=my_stripes",)])
def test_what_a_plugin_registers_is_a_choice_without_a_file(cli, my_things, words):
    code, _, err = cli(
        "plugins=[my_things]", "head=my_head", "head.size=3", "dataset.count=64", *words, "debug=fast", "hardware=cpu",
        "run_dir=out",
    )  # fmt: skip
    assert code == 0, err
    config = yaml.safe_load((my_things / "out" / "config.yaml").read_text())
    assert config["head"] == {
        "type": "my_head",
        "loss": {"cross_entropy": 1.0},
        "label_smoothing": 0.0,
        "class_weights": None,
        "size": 3,
    }
    assert config["dataset"] == {
        "type": "my_stripes", "augment": {}, "mean": None, "std": None, "cache_mb": 2048, "num_workers": None,
        "balance": False, "count": 64,
    }  # fmt: skip


def test_a_sweep_varies_shipped_heads_and_those_of_plugins(cli, my_things):
    code, out, err = cli(
        "-m", "plugins=[my_things]", "head=my_head,linear", "debug=fast", "hardware=cpu", "run_dir=out"
    )
    assert code == 0, out + err
    types = [yaml.safe_load((my_things / "out" / n / "config.yaml").read_text())["head"]["type"] for n in "01"]
    assert types == ["my_head", "linear"]


SUBCLASSES = """
from dataclasses import dataclass

from visionkit.data.sources import SOURCES
from visionkit.data.sources.folder.source import Folder
from visionkit.heads import FcosSpec, head


@head("my_fcos")
@dataclass(frozen=True, kw_only=True)
class MyFcos(FcosSpec):
    extra: int = 1


@SOURCES.register("my_folder")
@dataclass(frozen=True, kw_only=True)
class MyFolder(Folder):
    pass
"""


def test_a_plugins_subclass_takes_the_values_of_its_base_class(cli, in_empty_folder, monkeypatch):
    (in_empty_folder / "my_subclasses.py").write_text(SUBCLASSES)
    monkeypatch.syspath_prepend(str(in_empty_folder))
    words = ("plugins=[my_subclasses]", "task=detect", "num_classes=3", "format=json")
    mine, theirs = (json.loads(cli("inspect", *words, f"head={name}")[1]) for name in ("my_fcos", "fcos"))
    assert mine["totals"] == theirs["totals"]
    code, _, err = cli("plugins=[my_subclasses]", "dataset=my_folder")
    assert (code, "dataset.root is not given" in err) == (2, True)


def test_plugins_choices_are_listed_and_swept(cli, my_things):
    for plugins in ("plugins=[my_things]", "plugins=my_things"):
        code, out, _ = cli("list", "heads", plugins, "pattern=my_*", "format=json")
        assert (code, list(json.loads(out)["head"])) == (0, ["my_head"])
    words = ("plugins=[my_things]", "head=glob([my_*,linear])", "debug=fast", "hardware=cpu", "run_dir=out")
    assert cli("-m", *words)[0] == 0
    assert sorted(path.name for path in (my_things / "out").glob("[01]")) == ["0", "1"]


def test_a_plugin_with_the_name_of_a_shipped_file_is_refused(cli, in_empty_folder, monkeypatch):
    (in_empty_folder / "my_things.py").write_text(PLUGIN.replace('"my_head"', '"fcos_small"'))
    monkeypatch.syspath_prepend(str(in_empty_folder))
    code, _, err = cli("plugins=[my_things]", "head=fcos_small", "task=detect")
    assert code == 2
    assert "head 'fcos_small' is defined twice: by a plugin and in a file, as a fcos. Rename the plugin's." in err


def test_an_experiment_whose_data_set_a_plugin_would_replace_is_refused(cli, my_things):
    code, _, err = cli("plugins=[my_things]", "experiment=mnist_lenet", "dataset=my_stripes")
    assert code == 2
    assert "Type what is to hold: 'dataset={type: my_stripes, ...}'" in err


def test_a_choice_that_no_plugin_has_registered_lists_theirs_too(cli, my_things):
    code, _, err = cli("plugins=[my_things]", "head=my_heat")
    assert code == 2
    assert "no head is called 'my_heat'. Did you mean 'my_head'?" in err


def test_another_type_begins_a_data_set_or_head_anew(cli, in_empty_folder):
    assert cli("inspect", "task=detect", "head.type=retinanet_small", "num_classes=3")[0] == 0
    code, _, err = cli("task=detect", "head.type=retinanet_small", "head.quality=iou")
    assert code == 2
    assert "head: unknown key 'quality'" in err


def test_a_run_folders_plugins_are_not_run_unasked(cli, in_empty_folder):
    """A run folder may come from somebody else; the code it names is imported only where the user names it too."""
    assert cli("debug=fast", "hardware=cpu", "run_dir=out")[0] == 0
    (in_empty_folder / "harm.py").write_text("open('harmed', 'w').close()\n")
    config = in_empty_folder / "out" / "config.yaml"
    config.write_text(config.read_text().replace("plugins: []", "plugins: [harm]"))
    for command in (["evaluate", "run=out"], ["predict", "run=out", "source=."], ["train", "run=out"]):
        code, _, err = cli(*command)
        assert code == 2
        assert "If you trust it, add: plugins=[harm]" in err
    assert not (in_empty_folder / "harmed").exists()


PARTS_PLUGIN = """
from dataclasses import dataclass

from visionkit.blocks import Composite, Conv, block
from visionkit.data.augment.spec import AUGMENTATIONS, AugmentSpec
from visionkit.settings import LOGGERS, Logger


@block("my_double")
@dataclass(frozen=True, kw_only=True)
class Double(Composite):
    out_channels: int

    def parts(self, in_channels):
        return Conv(out_channels=self.out_channels, kernel_size=3)


@LOGGERS.register("lines", module="my_parts:lines")
@dataclass(frozen=True, kw_only=True)
class Lines(Logger):
    name: str = "lines"


@AUGMENTATIONS.register("darker", module="my_parts:Darker")
@dataclass(frozen=True, kw_only=True)
class DarkerSpec(AugmentSpec):
    by: int
"""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("logger=linse",), "no logger is called 'linse'. Did you mean 'lines'?"),
        (("dataset.augment={darker: {}}",), "dataset.augment.darker.by: this key is required"),
        (("backbone.stages.c1={a: {type: my_doubel, out_channels: 8}}",), "Did you mean 'my_double'?"),
        (("recipe.schedule.type=coseno",), "recipe.schedule: no schedule is called 'coseno'. Did you mean 'cosine'?"),
        (("task.metrics=[aurok]",), "task.metrics.0: no metric is called 'aurok'. Did you mean 'auroc'?"),
        (("task.metrics=auroc",), "task.metrics: expected a list, such as [auroc]"),
        (("callbacks=[timr]",), "callbacks.0: no callback is called 'timr'. Did you mean 'timer'?"),
        (("callbacks=[{type: timer, duration: 1h}]",), "callbacks.0: expected a duration as DD:HH:MM:SS"),
        (("callbacks=[{type: timer, duration: '00:00:00:00'}]",), "callbacks.0: expected a duration as DD:HH:MM:SS"),
        (
            ("callbacks=[{type: timer, duration: '00:00:01:00'},{type: timer, duration: '00:00:02:00'}]",),
            "callbacks: 'timer' is named twice. Expected each callback once.",
        ),
        (("head.loss={hinge: 1.0}",), "head.loss: no loss of labels is called 'hinge'"),
        (("task=detect", "head.neck.type=fpm"), "head.neck: no neck is called 'fpm'. Did you mean 'fpn'?"),
        (("task=detect", "head.neck.num_levels=9"), "head.neck.num_levels: expected a number from 1 to 8"),
        (("task=detect", "head=retinanet", "head.box_loss=iou"), "head.box_loss: no loss of boxes is called 'iou'"),
    ],
)
def test_a_mistake_in_what_a_registry_is_asked_for_names_key_and_choices(
    cli, in_empty_folder, monkeypatch, words, message
):
    (in_empty_folder / "my_parts.py").write_text(PARTS_PLUGIN)
    monkeypatch.syspath_prepend(str(in_empty_folder))
    code, _, err = cli("plugins=[my_parts]", *words, "run_dir=out")
    assert (code, message in err) == (2, True), err
    assert not (in_empty_folder / "out").exists()


KINDS_PLUGIN = """
from dataclasses import dataclass

from torch import nn
from torch.nn import functional as F

from visionkit.blocks.normalization import NORMS, Norm
from visionkit.losses.spec import BOX_LOSSES, LABEL_LOSSES, BoxLossSpec, LossSpec


@LABEL_LOSSES.register("hinge", module="my_kinds:hinge")
@dataclass(frozen=True, kw_only=True)
class HingeSpec(LossSpec):
    margin: float = 1.0


def hinge(logits, labels, *, margin):
    return F.multi_margin_loss(logits, labels, margin=margin)


@BOX_LOSSES.register("smooth", module="my_kinds:smooth")
@dataclass(frozen=True, kw_only=True)
class SmoothSpec(BoxLossSpec):
    of_deltas = True
    beta: float = 0.1


def smooth(predictions, targets, *, beta):
    return F.smooth_l1_loss(predictions, targets, beta=beta, reduction="none").sum(-1)


@NORMS.register("my_norm")
@dataclass(frozen=True)
class MyNorm(Norm):
    def build(self, shape):
        return nn.BatchNorm2d(shape.channels)
"""


def test_losses_of_labels_and_boxes_and_norms_of_a_plugin_are_reached(cli, in_empty_folder, monkeypatch):
    (in_empty_folder / "my_kinds.py").write_text(KINDS_PLUGIN)
    monkeypatch.syspath_prepend(str(in_empty_folder))
    words = ("plugins=[my_kinds]", "debug=fast", "hardware=cpu")
    loss = "head.loss={hinge: {weight: 1.0, margin: 0.5}, cross_entropy: 0.1}"
    code, _, err = cli(*words, loss, "backbone.layer_defaults.norm=my_norm", "run_dir=a")
    assert code == 0, err
    assert "train/cross_entropy,train/hinge,train/loss" in (in_empty_folder / "a" / "metrics.csv").read_text()
    scenes = "dataset.scenes={train: 8, val: 4, test: 4}"
    detector = (
        "task=detect",
        "backbone=lenet",
        "head=retinanet_small",
        "head.box_loss={type: smooth, beta: 0.2}",
        scenes,
    )
    code, _, err = cli(*words, *detector, "run_dir=b")
    assert code == 0, err
    code, out, _ = cli("list", "losses", "plugins=[my_kinds]", "format=json")
    assert {"hinge (of labels)", "smooth (of boxes)"} <= set(json.loads(out)["losses"])


def test_settings_of_another_type_keep_what_it_requires(cli, in_empty_folder):
    assert cli("recipe.optimizer.type=adamw", "recipe.optimizer.betas=[0.9,0.99]", "recipe.optimizer.eps=1e-8",
               "recipe.schedule=constant", "debug=fast", "hardware=cpu", "run_dir=a")[0] == 0  # fmt: skip
    config = yaml.safe_load((in_empty_folder / "a" / "config.yaml").read_text())["recipe"]
    assert config["optimizer"] == {"type": "adamw", "weight_decay": 0.0005, "betas": [0.9, 0.99], "eps": 1e-8}
    assert (config["schedule"]["type"], config["schedule"]["gamma"]) == ("constant", 0.1)
    code, _, err = cli("recipe.optimizer=adam")
    assert (code, "recipe.optimizer.betas: this key is required" in err, "recipe=adam" in err) == (2, True, True)


def test_a_finished_run_is_evaluated_by_further_metrics(cli, in_empty_folder):
    assert cli("debug=fast", "hardware=cpu", "run_dir=a")[0] == 0
    code, out, err = cli("evaluate", "run=a", "task.metrics=[auroc]", "format=json")
    assert code == 0, err
    assert 0 <= json.loads(out)["metrics"]["test/auroc"] <= 1


def test_a_metric_with_the_name_of_the_tasks_own_is_refused_before_training(cli, in_empty_folder, monkeypatch):
    (in_empty_folder / "my_metrics.py").write_text(
        "from visionkit.metrics.spec import ClassificationMetricSpec, metric\n\n\n"
        '@metric("accuracy", module="torchmetrics.classification:MulticlassAccuracy")\n'
        "class Mine(ClassificationMetricSpec):\n    pass\n"
    )
    monkeypatch.syspath_prepend(str(in_empty_folder))
    code, _, err = cli("plugins=[my_metrics]", "task.metrics=[accuracy]", "debug=fast", "hardware=cpu")
    assert code == 2
    assert "task.metrics: 'accuracy' is a metric of the task itself. Give yours another name." in err


TASK_PLUGIN = """
from dataclasses import dataclass, replace
from typing import ClassVar

from visionkit.heads import LinearSpec, head
from visionkit.tasks.classify import ClassifyTask
from visionkit.tasks.info import TASKS


@head("graded", module="visionkit.heads.classification.head:ClassificationHead")
@dataclass(frozen=True, kw_only=True)
class GradedSpec(LinearSpec):
    task: ClassVar[str] = "grade"


class GradeTask(ClassifyTask):
    pass


TASKS["grade"] = replace(TASKS["classify"], name="grade", module="my_task:GradeTask", monitor="val/f1_macro")
"""


def test_a_fifth_task_is_a_row_its_module_and_its_conf(cli, in_empty_folder, monkeypatch):
    (in_empty_folder / "my_task.py").write_text(TASK_PLUGIN)
    monkeypatch.syspath_prepend(str(in_empty_folder))
    for name, text in {
        "task/grade": "defaults:\n  - override /head@_global_.head: graded\nname: grade\nmetrics: []\n",
        "head/graded": "defaults: [linear, _self_]\ntype: graded\n",
    }.items():
        file = in_empty_folder / "mine" / f"{name}.yaml"
        file.parent.mkdir(parents=True)
        file.write_text(text)
    words = ("--config-dir", "mine", "plugins=[my_task]", "task=grade")
    code, out, err = cli(*words, "debug=fast", "hardware=cpu", "run_dir=out", "format=json")
    assert code == 0, err
    code, again, _ = cli("evaluate", "run=out", "plugins=[my_task]", "format=json")
    assert json.loads(again)["metrics"]["test/f1_macro"] == json.loads(out)["metrics"]["test/f1_macro"]
    assert cli("predict", "run=out", "plugins=[my_task]", "source=out/plots")[0] == 0
    assert cli("inspect", *words, "num_classes=4")[0] == 0
    code, _, err = cli(*words, "head=linear")
    assert code == 2
    assert "head 'linear' serves task 'classify', not 'grade'. Heads for 'grade': graded." in err


FAILING_PLUGIN = """
from dataclasses import dataclass

from visionkit.settings import SCHEDULES, Schedule


@SCHEDULES.register("broken", module="my_schedule:broken")
@dataclass(frozen=True, kw_only=True)
class Broken(Schedule):
    pass


def broken(settings, step, total, warmup_steps):
    return 1 / (total - total)
"""


def test_a_plugin_that_fails_is_named_with_its_line_and_not_called_a_fault_of_ours(cli, in_empty_folder, monkeypatch):
    (in_empty_folder / "my_schedule.py").write_text(FAILING_PLUGIN)
    monkeypatch.syspath_prepend(str(in_empty_folder))
    words = ("plugins=[my_schedule]", "recipe.schedule.type=broken", "recipe.schedule.warmup_epochs=0")
    code, _, err = cli(*words, "debug=fast", "hardware=cpu")
    assert code == 2
    place = f"({in_empty_folder / 'my_schedule.py'}, line 14)"
    assert f"a plugin of yours fails: ZeroDivisionError: division by zero {place}" in err
    assert "fault of visionkit" not in err


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ("import nothing_here\n", "my_part", "plugin 'my_part' imports 'nothing_here', and there is no such module"),
        ("\n1 / 0\n", "my_part", "my_part.py, line 2): ZeroDivisionError: division by zero"),
        ("", "my_part.py", "Type plugins=[my_part]"),
        (
            "from visionkit.losses.spec import BOX_LOSSES, LossSpec\n"
            "@BOX_LOSSES.register('x', module='m:f')\nclass X(LossSpec): pass\n",
            "my_part",
            "'my_part:X' is registered as one, but does not extend visionkit.losses.spec.BoxLossSpec",
        ),
        (
            "from visionkit.data.augment.spec import AUGMENTATIONS\n"
            "@AUGMENTATIONS.register('x', module='m:X')\nclass X: pass\n",
            "my_part",
            "augmentation 'x': 'my_part:X' is registered as one, but does not extend "
            "visionkit.data.augment.base.AugmentSpec",
        ),
    ],
)
def test_a_plugin_that_cannot_be_imported_says_why(cli, in_empty_folder, monkeypatch, text, name, message):
    (in_empty_folder / "my_part.py").write_text(text)
    monkeypatch.syspath_prepend(str(in_empty_folder))
    code, _, err = cli(f"plugins=[{name}]", "debug=fast")
    assert (code, message in err) == (2, True), err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("task=detect", "dataset.augment={horizontal_flip: {p: 0.5}}"),
            "dataset.augment: it is set, but belongs to single digits, and this task sees scenes of them. "
            "Try: dataset.scenes.augment=...",
        ),
        (("task=segment", "dataset.mean=[0.5]"), "dataset.mean: it is set, but belongs to single digits"),
        (
            ("task=segment", "head.loss={dice: 1.0}", "head.class_weights=balanced"),
            "head.class_weights: it is set, but dice in head.loss does not use it. Expected one that does: "
            "cross_entropy, focal. Try: +head.loss.cross_entropy=1.0",
        ),
        (
            ("task=segment", "head.loss={focal: 1.0}", "head.label_smoothing=0.1"),
            "head.label_smoothing: it is set, but focal in head.loss does not use it",
        ),
    ],
)
def test_a_setting_that_nothing_would_use_is_an_error(cli, in_empty_folder, words, message):
    code, _, err = cli(*words, "debug=fast", "hardware=cpu")
    assert (code, message in err) == (2, True), err


def test_a_neck_without_a_level_names_the_strides_of_the_backbone(cli, in_empty_folder, monkeypatch):
    import re

    from tests.helpers.paths import REPOSITORY

    page = (REPOSITORY / "docs" / "extending" / "neck.md").read_text()
    (code,) = re.findall(r"```python\n# my_neck.py\n(.*?)```", page, flags=re.DOTALL)
    (in_empty_folder / "my_neck.py").write_text(code)
    monkeypatch.syspath_prepend(str(in_empty_folder))
    words = ("task=detect", "backbone=lenet", "head.neck.type=lateral", "num_classes=3")
    status, _, err = cli("inspect", "plugins=[my_neck]", *words)
    assert status == 2
    assert "head.neck: it makes no level of lenet, whose stages have the strides" in err


def test_the_timer_ends_a_training_after_a_whole_epoch(cli, in_empty_folder):
    words = ("recipe.epochs=200", "hardware=cpu", "run_dir=out")
    assert cli("callbacks=[{type: timer, duration: '00:00:00:01'}]", "debug.limit_batches=2", *words)[0] == 0
    rows = (in_empty_folder / "out" / "metrics.csv").read_text().splitlines()[1:]
    assert 1 <= len(rows) < 200
    assert [float(row.split(",")[1]) for row in rows] == [2.0 * (number + 1) for number in range(len(rows))]
    code, _, err = cli("train", "run=out", "resume=true", "callbacks=[]", f"recipe.epochs={len(rows) + 1}")
    assert code == 0, err


STOPPING_PLUGIN = """
from dataclasses import dataclass

from lightning.pytorch import Callback

from visionkit.settings import CALLBACKS, CallbackSpec


@CALLBACKS.register("stop_at_once", module="my_stop:Stop")
@dataclass(frozen=True, kw_only=True)
class StopSpec(CallbackSpec):
    pass


class Stop(Callback):
    def on_train_start(self, trainer, pl_module):
        trainer.fit_loop.epoch_loop.max_steps = 0
        trainer.should_stop = True
"""


def test_a_training_without_an_epoch_says_so(cli, in_empty_folder, monkeypatch):
    (in_empty_folder / "my_stop.py").write_text(STOPPING_PLUGIN)
    monkeypatch.syspath_prepend(str(in_empty_folder))
    code, _, err = cli("plugins=[my_stop]", "callbacks=[stop_at_once]", "debug=fast", "hardware=cpu", "run_dir=out")
    assert code == 2, err
    assert "the training ended before its first epoch was finished, as one of the callbacks asked for" in err


@pytest.mark.slow
def test_a_plugin_that_fails_in_one_of_several_processes_is_named_too(cli, in_empty_folder, monkeypatch):
    (in_empty_folder / "my_schedule.py").write_text(FAILING_PLUGIN)
    monkeypatch.syspath_prepend(str(in_empty_folder))
    words = ("plugins=[my_schedule]", "recipe.schedule.type=broken", "recipe.schedule.warmup_epochs=0")
    code, _, err = cli(*words, "debug=fast", "hardware=cpu", "hardware.devices=2")
    assert code == 2
    assert f"a plugin of yours fails: ZeroDivisionError: division by zero ({in_empty_folder}" in err
