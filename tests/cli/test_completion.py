"""Completion offers only what is accepted."""

from typing import get_args, get_type_hints

import pytest

from visionkit.cli.completion import _VALUES, candidates
from visionkit.cli.compose import check_choice, group_choices
from visionkit.cli.overrides import parse_overrides
from visionkit.cli.resolve import resolve
from visionkit.cli.verbs import VERBS
from visionkit.runs.config import RunConfig
from visionkit.settings.hardware import Hardware


@pytest.mark.parametrize("name", ["accelerator", "precision"])
def test_every_value_offered_for_hardware_is_one_that_it_takes(name):
    offered = [word.partition("=")[2] for word in candidates(f"visionkit hardware.{name}=", {})]
    assert sorted(offered) == sorted(map(str, get_args(get_type_hints(Hardware)[name])))


CHOICES = group_choices([])


def resolved(words):
    parsed = parse_overrides(words, groups=CHOICES, options=VERBS["train"].options, verb="train")
    return resolve(parsed, [])


@pytest.mark.parametrize("group", [group for group in CHOICES if group != "sweep"])
def test_every_choice_offered_is_one_that_the_group_has(group):
    offered = [word.partition("=")[2] for word in candidates(f"visionkit {group}=", CHOICES)]
    assert offered == sorted(CHOICES[group])
    for choice in offered:
        check_choice(group, choice, [])


@pytest.mark.parametrize("key", [key for key in _VALUES if key not in ("run", "resume")])
def test_every_value_offered_is_accepted(key):
    offered = candidates(f"visionkit {key}=", CHOICES)
    assert len(offered) >= 2
    for word in offered:
        RunConfig.from_plain(resolved([word]), check_data=False)


def test_every_key_offered_is_one_that_the_configuration_has():
    plain = resolved(["dataset=folder"])
    keys = [word[:-1] for word in candidates("visionkit dataset=folder ", CHOICES) if "." in word]
    assert "recipe.lr" in keys
    for key in keys:
        node = plain
        for part in key.split("."):
            node = node[part]
