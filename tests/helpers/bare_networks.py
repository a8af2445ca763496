"""Networks without initial values, for tests that look at shapes alone or load weights of their own."""

from contextlib import contextmanager
from unittest.mock import patch

import torch
from torch import nn

_INITIALISERS = [name for name in dir(nn.init) if name.endswith("_") and not name.startswith("_")]


def _leave(tensor, *arguments, **options):
    return tensor


def _same_shape(norm, x):
    assert x.shape[1] == norm.num_features
    return x


@contextmanager
def uninitialised():
    """Within this context layers are made without drawing values for their weights."""
    with patch.multiple(nn.init, **dict.fromkeys(_INITIALISERS, _leave)):
        yield


@contextmanager
def meta_device():
    """Within this context tensors have shapes alone; those of initialisation and batch norm take torch long there."""
    with torch.device("meta"), uninitialised(), patch.object(nn.BatchNorm2d, "forward", _same_shape):
        yield
