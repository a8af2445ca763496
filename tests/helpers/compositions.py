"""Hydra takes a fifth of the time of a short run, and most runs of the tests compose the same files."""

from contextlib import contextmanager
from copy import deepcopy
from unittest.mock import patch

from visionkit.cli import compose

_with_hydra = compose._compose_with_hydra
_known = {}


def _compose_once(groups, config_dirs):
    if config_dirs or groups.get("backbone", "").endswith((".yaml", ".yml")):
        return _with_hydra(groups, config_dirs)  # files of the test's own
    key = tuple(groups.items())
    if key not in _known:
        _known[key] = _with_hydra(groups, config_dirs)
    return deepcopy(_known[key])


@contextmanager
def composed_once():
    """Within this context the same choices of shipped files are composed once per process, and copied afterwards."""
    with patch.object(compose, "_compose_with_hydra", _compose_once):
        yield
