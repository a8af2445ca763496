"""Completion offers only what is accepted."""

from typing import get_args, get_type_hints

import pytest

from visionkit.cli.completion import candidates
from visionkit.settings.hardware import Hardware


@pytest.mark.parametrize("name", ["accelerator", "precision"])
def test_every_value_offered_for_hardware_is_one_that_it_takes(name):
    offered = [word.partition("=")[2] for word in candidates(f"visionkit hardware.{name}=", {})]
    assert sorted(offered) == sorted(map(str, get_args(get_type_hints(Hardware)[name])))
