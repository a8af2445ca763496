"""What an augmentation says of itself."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

__all__ = ["AugmentSpec"]


@dataclass(frozen=True, kw_only=True)
class AugmentSpec:
    """One augmentation; its fields are arguments of the class it registers, which is called as those of torchvision.

    A field called ``fill`` is the value of pixels from outside the image; masks get their own.
    """

    targets: ClassVar[tuple[str, ...] | None] = None
    """The kinds of target it supports, None for all; boxes and masks are transformed with the image."""

    needs_original: ClassVar[bool] = False
    """Whether it is applied, with all that precedes it, to the decoded image instead of the resized one."""

    sized: ClassVar[bool] = False
    """Whether the class takes ``size``, that of the batch."""

    smooth: ClassVar[bool] = False
    """Whether to interpolate bilinearly instead of by torchvision's default, nearest."""

    changes_colours: ClassVar[bool] = False
    """Whether it works on the colours of one or three channels; floats are then between 0 and 1 for it."""

    mirrors: ClassVar[bool] = False
    """Whether it mirrors images or turns them far, which would make another digit or letter of one."""

    elsewhere: ClassVar[str] = ""
    """A sentence on what does the like for other targets, with a space behind it; empty for none."""

    @classmethod
    def supports(cls, targets: Collection[str]) -> bool:
        """Whether it supports one of these kinds of target."""
        return cls.targets is None or bool(set(cls.targets) & set(targets))

    def arguments(self) -> dict[str, Any]:
        """The arguments of the class."""
        return asdict(self)
