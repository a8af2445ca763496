"""Heads, losses, metrics, callbacks and loggers of a person, trained through `visionkit.train`."""

import logging
import os
import random
import signal
import subprocess
import sys
import warnings

import numpy
import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.loggers import CSVLogger
from torch import nn
from torchmetrics.classification import MulticlassRecall
from torchmetrics.detection import MeanAveragePrecision

import visionkit as vk
from tests.helpers.paths import REPOSITORY
from tests.helpers.pictures import blank_pictures
from visionkit.heads.base import Head


class Images(torch.utils.data.Dataset):
    classes = ("a", "b", "c")

    def __init__(self, split_seed=0):
        generator = torch.Generator().manual_seed(split_seed)
        self.images = torch.randint(0, 256, (24, 3, 32, 32), dtype=torch.uint8, generator=generator)

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.images[index], index % 3


class MeanHead(Head):
    def __init__(self, feature_info, num_classes):
        super().__init__()
        self.name, info = list(feature_info.items())[-1]
        self.layer = nn.Linear(info.channels, num_classes)

    def forward(self, features, image_size):
        return {"logits": self.layer(features[self.name].mean((2, 3)))}

    def loss(self, outputs, targets):
        return {"loss": nn.functional.cross_entropy(outputs["logits"], targets["label"])}

    def predict(self, outputs, image_sizes=None):
        probabilities = outputs["logits"].softmax(1)
        scores, labels = probabilities.max(1)
        return {"labels": labels, "scores": scores, "probabilities": probabilities}


class CountEpochs(Callback):
    def __init__(self):
        self.epochs = self.tested = 0

    def on_train_epoch_end(self, trainer, pl_module):
        self.epochs += 1

    def on_test_epoch_end(self, trainer, pl_module):
        self.tested += 1


def _train(path, **keywords):
    with blank_pictures():
        return vk.train(
            "task=classify", "backbone=lenet", "debug=fast", "hardware=cpu", run_dir=str(path),
            dataset={"train": Images(), "val": Images(1), "test": Images(2), "image_size": 32},
            **{"progress": False} | keywords,
        )  # fmt: skip


def _recall():
    return {"own_recall": MulticlassRecall(3)}


@pytest.fixture(scope="module")
def own_head_run(tmp_path_factory):
    folder, callback = tmp_path_factory.mktemp("own"), CountEpochs()
    logger = CSVLogger(folder / "csv")
    run = _train(folder / "run", head=MeanHead, metrics=_recall(), callbacks=[callback], logger=logger)
    return run, callback, logger


def test_a_metric_of_a_person_is_that_of_an_independent_computation(own_head_run):
    run, _, _ = own_head_run
    data = Images(2)
    probabilities = [vk.load(run, head=MeanHead).predict(image).probabilities for image in data.images]
    predicted = numpy.stack(probabilities).argmax(1)
    labels = numpy.arange(len(data)) % 3
    expected = numpy.mean([(predicted[labels == k] == k).mean() for k in range(3)])
    measured = vk.evaluate(
        run, head=MeanHead, metrics=_recall(), debug="none",
        dataset={"train": Images(), "val": Images(1), "test": data},
    ).scalars  # fmt: skip
    assert measured["test/own_recall"] == pytest.approx(expected)


def test_callbacks_and_loggers_are_used(own_head_run):
    run, callback, logger = own_head_run
    assert callback.epochs == len(run.history) == callback.tested == 1
    assert os.path.isfile(os.path.join(logger.log_dir, "metrics.csv"))


def test_a_run_with_a_head_is_loaded_and_built_with_it_alone(own_head_run):
    run, _, _ = own_head_run
    with pytest.raises(vk.UserError, match=r"head: the run was made from Python"):
        vk.load(run)
    with pytest.raises(vk.UserError, match=r"head=\.\.\."):
        vk.build(run=run)
    task, _ = vk.build(run=run, head=MeanHead, metrics=_recall(), dataset={"train": Images()})
    assert isinstance(task.model.head, MeanHead)


@pytest.mark.slow
def test_a_run_with_objects_is_repeated_and_resumed(own_head_run, tmp_path):
    run, _, _ = own_head_run
    given = {"head": MeanHead, "metrics": _recall(), "progress": False}
    data = {"train": Images(), "val": Images(1), "test": Images(2)}
    again = vk.train(run=run, run_dir=str(tmp_path / "again"), dataset=data, **given)
    assert again.metrics["test/loss"] == run.metrics["test/loss"]
    assert again.config["dataset"]["image_size"] == run.config["dataset"]["image_size"]
    resumed = vk.train(run=again, resume=True, dataset=data, **given)
    assert resumed.path == again.path


class CornerHead(Head):
    """One box an image, of the class and at the place that the mean of the last map says."""

    def __init__(self, feature_info, num_classes):
        super().__init__()
        self.name, info = list(feature_info.items())[-1]
        self.boxes, self.classes = nn.Linear(info.channels, 4), nn.Linear(info.channels, num_classes)

    def forward(self, features, image_size):
        mean = features[self.name].mean((2, 3))
        return {"boxes": self.boxes(mean), "logits": self.classes(mean)}

    def loss(self, outputs, targets):
        classes = nn.functional.cross_entropy(outputs["logits"], targets["labels"][:, 0], ignore_index=-1)
        return {"box": nn.functional.l1_loss(outputs["boxes"], targets["boxes"][:, 0]), "class": classes}

    def predict(self, outputs, image_sizes=None):
        scores, labels = outputs["logits"].softmax(1).max(1, keepdim=True)
        return {"boxes": outputs["boxes"][:, None], "scores": scores, "labels": labels}


def _detect(path, **given):
    with blank_pictures():
        return vk.train(
            "task=detect", "backbone=lenet", "debug=fast", "hardware=cpu", run_dir=str(path), progress=False, **given
        )


def test_a_head_and_a_metric_of_a_person_train_a_detector(tmp_path):
    """The metric is torchmetrics', which computes what the task's own does, and values of each class beside it."""
    given = {"head": CornerHead, "metrics": {"theirs": MeanAveragePrecision(backend="faster_coco_eval")}}
    run = _detect(tmp_path / "run", **given)
    assert run.metrics["test/theirs_map"] == pytest.approx(run.metrics["test/map"], abs=1e-6)
    assert {"test/box", "test/class", "test/loss"} <= set(run.metrics)
    assert len(vk.load(run, head=CornerHead, min_score=0.0).predict(numpy.zeros((64, 64, 3), numpy.uint8)).boxes) == 1


class BoxlessHead(CornerHead):
    def predict(self, outputs, image_sizes=None):
        return {"labels": outputs["logits"].argmax(1, keepdim=True)}


class WithoutLoss(CornerHead):
    def loss(self, outputs, targets):
        return {"box": outputs["boxes"]}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"head": BoxlessHead}, r"head: predict gave \['labels'\]. Expected boxes, scores too"),
        ({"head": WithoutLoss}, "head: loss gave no dict of scalar tensors"),
        ({"metrics": MulticlassRecall(3)}, "metrics.*fails on a tiny batch.*MeanAveragePrecision takes"),
    ],
)
def test_an_object_that_does_not_fit_detection_is_named_before_anything_is_written(tmp_path, given, message):
    with pytest.raises(vk.UserError, match=message):
        _detect(tmp_path / "run", **given)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("callbacks", [CountEpochs(), [CountEpochs], "rich", 3])
def test_callbacks_of_a_wrong_type_are_an_error(tmp_path, callbacks):
    with pytest.raises(vk.UserError, match=r"callbacks.*: found"):
        _train(tmp_path / "run", callbacks=callbacks)


@pytest.mark.parametrize("logger", [3, [CSVLogger], True])
def test_a_logger_of_a_wrong_type_is_an_error(tmp_path, logger):
    with pytest.raises(vk.UserError, match=r"logger\[0\]: found"):
        _train(tmp_path / "run", logger=logger)


class Exhausted(Callback):
    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        next(iter(()))


def test_an_epoch_that_a_stop_iteration_cuts_short_is_an_error(tmp_path):
    with pytest.raises(vk.UserError, match="epoch 1 ended after 0 of 2 batches: a callback, head, loss or metric"):
        _train(tmp_path / "run", callbacks=[Exhausted()])
    assert not (tmp_path / "run" / "checkpoints" / "last.ckpt").exists()


class FailingHead(MeanHead):
    def forward(self, features, image_size):
        raise KeyError("nope")


class DetachedHead(MeanHead):
    def loss(self, outputs, targets):
        return {"loss": super().loss(outputs, targets)["loss"].detach()}


def _own_loss(logits, targets):
    return nn.functional.cross_entropy(logits, targets)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"head": FailingHead}, "head: .*FailingHead fails on a tiny batch: KeyError: 'nope'"),
        ({"loss": lambda logits, targets: logits}, r"loss: it gave a tensor of shape \(2, 3\). Expected a scalar"),
        ({"loss": lambda logits, targets: logits.sum().detach()}, "loss: the loss has no gradient"),
        ({"head": DetachedHead}, "head: the loss has no gradient, and nothing would be learned"),
        ({"metrics": MulticlassRecall(2)}, "metrics.*fails on a tiny batch: ValueError"),
        ({"metrics": MulticlassRecall(3, average=None)}, "is no scalar: found shape"),
        ({"head": MeanHead, "loss": _own_loss}, "loss: found .*a head of your own"),
    ],
)
def test_an_object_that_fails_is_named_before_anything_is_written(tmp_path, given, message):
    with pytest.raises(vk.UserError, match=message):
        _train(tmp_path / "run", **given)
    assert not (tmp_path / "run").exists()


def test_the_next_steps_of_a_run_with_objects_are_calls_in_python(tmp_path, capfd):
    _train(tmp_path / "run", loss=_own_loss, progress=True)
    printed = "".join(capfd.readouterr().out.split())
    assert "visionkit.evaluate('" in printed
    assert "loss=...,dataset=...)" in printed


def _state():
    import matplotlib

    return {
        "python": random.getstate(),
        "numpy": numpy.random.get_state()[1].tolist(),
        "torch": torch.get_rng_state().tolist(),
        "flags": (torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic, torch.get_num_threads(),
                  torch.get_float32_matmul_precision(), torch.are_deterministic_algorithms_enabled()),
        "environment": dict(os.environ),
        "warnings": list(warnings.filters),
        "logging": [logging.getLogger(n).level for n in ("", "lightning", "lightning.pytorch", "torch", "matplotlib")],
        "signals": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)],
        "backend": matplotlib.rcParams._get_backend_or_none(),
    }  # fmt: skip


@pytest.mark.slow
def test_what_belongs_to_the_caller_is_as_before_and_a_second_run_equal(tmp_path):
    import lightning.pytorch  # noqa: F401 - the loggers are made by the import

    before = _state()
    first = _train(tmp_path / "a", loss=nn.CrossEntropyLoss())
    changed = [name for name, value in _state().items() if value != before[name]]
    assert changed == []
    second = _train(tmp_path / "b", loss=nn.CrossEntropyLoss())
    assert second.metrics["test/loss"] == first.metrics["test/loss"]


class DrawingHead(MeanHead):
    def __init__(self, feature_info, num_classes):
        super().__init__(feature_info, num_classes)
        random.random(), numpy.random.rand(), torch.rand(1)


def test_an_object_that_draws_leaves_the_random_states_of_the_caller():
    before = _state()
    vk.build(backbone="lenet", head=DrawingHead, dataset={"train": Images(), "val": Images(1), "image_size": 32})
    assert [name for name, value in _state().items() if value != before[name]] == []


@pytest.mark.slow
def test_evaluate_build_and_sweep_leave_the_state_of_the_caller(own_head_run, tmp_path, monkeypatch):
    run, _, _ = own_head_run
    monkeypatch.chdir(tmp_path)
    data = {"train": Images(), "val": Images(1), "test": Images(2)}
    before = _state()
    with blank_pictures():
        vk.evaluate(run, head=MeanHead, metrics=_recall(), dataset=data)
        assert [name for name, value in _state().items() if value != before[name]] == []
        vk.build(run=run, head=MeanHead, metrics=_recall(), dataset=data)
        assert [name for name, value in _state().items() if value != before[name]] == []
        vk.sweep(
            backbone="lenet", debug="fast", hardware="cpu", seed=[0, 1], run_dir=tmp_path / "sweep", progress=False
        )
    assert [name for name, value in _state().items() if value != before[name]] == []


def test_a_marker_typed_by_hand_runs_no_code(own_head_run, tmp_path):
    import shutil

    run, _, _ = own_head_run
    folder = tmp_path / "copy"
    shutil.copytree(run.path, folder)
    file = folder / "config.yaml"
    text = file.read_text(encoding="utf-8")
    named = text.replace("test_python_objects.MeanHead", "os.abort")
    assert named != text
    file.write_text(named, encoding="utf-8")
    with pytest.raises(vk.UserError, match=r"os\.abort"):
        vk.load(folder)


SCRIPT = """
import sys
import visionkit as vk
from tests.training.test_python_objects import CountEpochs, MeanHead, Images
from torchmetrics.classification import MulticlassRecall

class OwnHead(MeanHead):
    pass

class OwnCallback(CountEpochs):
    pass

def main():
    data = {"train": Images(), "val": Images(1), "test": Images(2)}
    cpu = {"accelerator": "cpu", "devices": 2}
    given = {"head": OwnHead, "metrics": {"own_recall": MulticlassRecall(3)}}
    run = vk.train(
        backbone="lenet", dataset={**data, "image_size": 32}, debug="fast", hardware=cpu, run_dir=sys.argv[1],
        callbacks=[OwnCallback()], progress=False, **given,
    )
    measured = vk.evaluate(run, dataset=data, hardware=cpu, **given).scalars
    assert measured["test/own_recall"] == run.metrics["test/own_recall"]
    print("ended")
"""


@pytest.mark.slow
@pytest.mark.parametrize("guarded", [True, False])
def test_objects_of_a_script_go_to_two_processes_or_are_an_error(tmp_path, guarded):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT + ('\nif __name__ == "__main__":\n    main()\n' if guarded else "\nmain()\n"))
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "run")], env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        capture_output=True, text=True, timeout=240, cwd=tmp_path,
    )  # fmt: skip
    if guarded:
        assert done.stdout.endswith("ended\n"), done.stderr
    else:
        assert 'Expected the call below a guard: if __name__ == "__main__":' in done.stderr


def test_a_lambda_cannot_be_sent_to_two_processes(tmp_path):
    with pytest.raises(vk.UserError, match=r"loss: .*cannot be sent to the 2 processes.*no lambda"):
        _train(
            tmp_path / "run", loss=lambda logits, targets: nn.functional.cross_entropy(logits, targets),
            hardware={"accelerator": "cpu", "devices": 2},
        )  # fmt: skip
