"""Callbacks of the user's choice beside those of every run: ``callbacks``."""

import re
from dataclasses import dataclass

from visionkit.registry import Registry

__all__ = ["CALLBACKS", "CallbackSpec", "TimerSpec"]


@dataclass(frozen=True, kw_only=True)
class CallbackSpec:
    """A callback; its fields are the arguments of the Lightning callback it registers."""


CALLBACKS: Registry[CallbackSpec] = Registry("callback", base=CallbackSpec)


@CALLBACKS.register("timer", module="visionkit.training.callbacks.configured:epoch_timer")
@dataclass(frozen=True, kw_only=True)
class TimerSpec(CallbackSpec):
    """Ends the training after the epoch in which some time has passed; the time of a resumed run is added.

    Attributes:
        duration: ``DD:HH:MM:SS``.
    """

    duration: str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"\d+:\d\d:[0-5]\d:[0-5]\d", self.duration) or not re.search("[1-9]", self.duration):
            raise ValueError(f"expected a duration as DD:HH:MM:SS, such as 00:01:30:00, found '{self.duration}'")
