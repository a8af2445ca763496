"""The callbacks that a configuration chooses."""

from collections.abc import Sequence

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Timer

from visionkit.settings import CALLBACKS, CallbackSpec

__all__ = ["epoch_timer", "make_callbacks"]


def make_callbacks(specs: Sequence[CallbackSpec]) -> list[pl.Callback]:
    """The Lightning callbacks of ``callbacks``, in their order."""
    return [CALLBACKS.module_of(type(spec))(**vars(spec)) for spec in specs]


def epoch_timer(duration: str) -> Timer:
    """Lightning's timer, which ends whole epochs: one that is cut would count as trained when the run is resumed."""
    return Timer(duration, interval="epoch", verbose=False)
