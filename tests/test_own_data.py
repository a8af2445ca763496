"""Data sets that are Python objects, through the public face."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from PIL import Image

import visionkit as vk
from tests.helpers.paths import REPOSITORY
from visionkit.cli.given_objects import changed_settings, take_objects
from visionkit.errors import UserError


def _pairs(count: int = 24) -> list[tuple[Any, int]]:
    pixels = numpy.random.default_rng(0).integers(0, 256, (count, 32, 32, 3), dtype=numpy.uint8)
    return [(Image.fromarray(each), index % 2) for index, each in enumerate(pixels)]


@pytest.mark.parametrize("key", ["dataset", "train"])
def test_a_list_of_pairs_in_a_mapping_is_a_data_set(key: str) -> None:
    pairs = _pairs()
    keywords: dict[str, Any] = {"dataset": {key: pairs, "class_names": ["a", "b"]}}

    objects = take_objects(keywords)

    assert objects.datasets[key] is pairs
    assert keywords["dataset"] == {"type": "python", "class_names": ["a", "b"]}


def test_a_list_of_pairs_alone_is_a_data_set() -> None:
    pairs = _pairs()
    assert take_objects({"dataset": pairs}).datasets["dataset"] is pairs


def test_an_empty_list_is_said_to_be_empty() -> None:
    with pytest.raises(UserError, match=r"dataset, builtins\.list, is empty"):
        take_objects({"dataset": {"dataset": [], "class_names": ["a", "b"]}})


@pytest.mark.parametrize("whole", [True, False])
def test_a_sweep_says_that_it_takes_no_data_set_object(whole: bool, tmp_path: Path) -> None:
    dataset = _pairs() if whole else {"train": _pairs(), "class_names": ["a", "b"]}
    with pytest.raises(UserError, match="dataset: sweep takes no Python objects"):
        vk.sweep("task=classify", dataset=dataset, seed=[0, 1], run_dir=tmp_path / "s")
    assert not list(tmp_path.iterdir())


def test_settings_of_a_data_set_that_a_run_has_already_are_no_change() -> None:
    stored = {"dataset": {"type": "python", "class_names": ["a", "b"], "image_size": 64}}
    given = {"type": "python", "class_names": ("a", "b"), "image_size": 32}
    assert changed_settings(given, stored) == {"image_size": 32}


class Scenes(torch.utils.data.Dataset[Any]):
    """Bright rectangles on dark images, with what each task needs; of a module, so that workers can import it."""

    classes = ("tall", "wide")

    def __init__(self, task: str, first: int, count: int = 16) -> None:
        self.task, self.first, self.count = task, first, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[numpy.ndarray, Any]:
        if index >= self.count:
            raise IndexError(index)
        label = index % 2
        height, width = ((20, 10), (10, 20))[label]
        left = 4 + (self.first + index) % 16
        image = numpy.full((64, 64, 3), self.first + index, dtype=numpy.uint8)
        image[8 : 8 + height, left : left + width] = 200 + label
        mask = numpy.zeros((64, 64), dtype=numpy.uint8)
        mask[8 : 8 + height, left : left + width] = 1
        if self.task == "segment":
            return image, mask * (1 + label)
        target = {"boxes": [[left, 8, left + width, 8 + height]], "labels": [label]}
        return image, target | ({"masks": mask[None]} if self.task == "instance" else {})


def _scenes(task: str) -> dict[str, Any]:
    names = ["floor", *Scenes.classes] if task == "segment" else list(Scenes.classes)
    splits = {split: Scenes(task, first) for split, first in (("train", 0), ("val", 60), ("test", 100))}
    return {**splits, "class_names": names, "image_size": 64}


def _train(task: str, path: Path, **keywords: Any) -> vk.Run:
    return vk.train(
        f"task={task}", "backbone=lenet", "debug=fast", hardware="cpu", dataset=_scenes(task), run_dir=path,
        progress=False, **keywords,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("task", ["detect", "instance", "segment"])
def test_a_run_with_own_data_is_trained_evaluated_and_predicts(task: str, tmp_path: Path) -> None:
    run = _train(task, tmp_path / "run")
    again = vk.evaluate(run, dataset=_scenes(task))
    assert {name: run.metrics[name] for name in again.scalars} == pytest.approx(again.scalars, abs=1e-6)
    image, _ = Scenes(task, 100)[0]
    prediction = vk.load(run).predict(image)
    if task == "segment":
        assert prediction.mask.shape == (64, 64)
    else:
        assert set(prediction.names) <= set(Scenes.classes)


@pytest.mark.slow
def test_workers_and_processes_read_own_data_as_one_process_does(tmp_path: Path) -> None:
    """One set of Python objects, read here, by workers that start afresh, and by two processes of a run."""
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, multiprocessing\n"
        "from tests.test_own_data import _train\n"
        "from pathlib import Path\n"
        'if __name__ == "__main__":\n'
        "    multiprocessing.set_start_method('spawn')\n"
        "    _train('segment', Path(sys.argv[1]), **{'dataset.num_workers': 1})\n"
        "    _train('segment', Path(sys.argv[2]), **{'hardware.devices': 2})\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    folders = [tmp_path / "workers", tmp_path / "processes"]
    subprocess.run([sys.executable, str(script), *map(str, folders)], env=environment, cwd=tmp_path, check=True)
    alone = _train("segment", tmp_path / "alone").metrics
    workers, processes = (vk.Run(folder).metrics for folder in folders)
    assert workers["test/loss"] == alone["test/loss"]
    # Batch norms of two processes see half a batch each, in two steps of training.
    assert processes["test/loss"] == pytest.approx(alone["test/loss"], rel=1e-3)
