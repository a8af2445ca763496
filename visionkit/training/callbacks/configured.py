"""The callbacks that a configuration chooses."""

from collections.abc import Sequence

import lightning.pytorch as pl

from visionkit.settings import CALLBACKS, CallbackSpec

__all__ = ["make_callbacks"]


def make_callbacks(specs: Sequence[CallbackSpec]) -> list[pl.Callback]:
    """The Lightning callbacks of ``callbacks``, in their order."""
    return [CALLBACKS.module_of(type(spec))(**vars(spec)) for spec in specs]
