"""Callbacks of the user's choice beside those of every run: ``callbacks``."""

import re
from dataclasses import dataclass
from typing import Literal

from visionkit.registry import Registry

__all__ = ["CALLBACKS", "CallbackSpec", "Timer"]


@dataclass(frozen=True, kw_only=True)
class CallbackSpec:
    """A callback; its fields are the arguments of the Lightning callback it registers."""


CALLBACKS: Registry[CallbackSpec] = Registry("callback", base=CallbackSpec)


@CALLBACKS.register("timer", module="lightning.pytorch.callbacks:Timer")
@dataclass(frozen=True, kw_only=True)
class Timer(CallbackSpec):
    """Ends the training after some time, as `lightning.pytorch.callbacks.Timer`; the time of a resumed run is added.

    Attributes:
        duration: ``DD:HH:MM:SS``.
        interval: Whether the time is looked at after each ``epoch`` or each ``step``.
    """

    duration: str
    interval: Literal["epoch", "step"] = "epoch"

    def __post_init__(self) -> None:
        if not re.fullmatch(r"\d+:\d\d:\d\d:\d\d", self.duration):
            raise ValueError(f"expected a duration as DD:HH:MM:SS, such as 00:01:30:00, found '{self.duration}'")
