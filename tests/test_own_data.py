"""Data sets that are Python objects, through the public face."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy
import pytest
from PIL import Image

import visionkit as vk
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
