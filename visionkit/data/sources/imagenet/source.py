"""ImageNet-1k in its usual layout, ``train/n01440764/`` and ``val/n01440764/``, with readable class names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from visionkit.data.sources.folder.layout import Layout
from visionkit.data.sources.folder.source import Folder
from visionkit.errors import UserError

__all__ = ["ImageNet", "class_names"]


@dataclass(frozen=True, kw_only=True)
class ImageNet(Folder):
    """A `Folder` whose WordNet ids are displayed as class names, if all of them are among ImageNet's 1000."""

    expected: ClassVar[str] = "train/n01440764/ and val/n01440764/, a folder per WordNet id"

    def _layout(self) -> Layout:
        layout = super()._layout()
        if not {"train", "val"} <= set(layout.split_folders):
            missing = "val" if layout.is_divided else "train"
            raise UserError(
                f"dataset.root: '{self.root}' has no {missing} folder. Expected {self.expected}. "
                "For another layout: dataset=folder"
            )
        return layout

    def _display_names(self, classes: Sequence[str]) -> tuple[str, ...]:
        names = _names_by_id()
        if all(name in names for name in classes):
            return tuple(names[name] for name in classes)
        return super()._display_names(classes)


def class_names() -> tuple[str, ...]:
    """The names of ImageNet's 1000 classes, in the order of their WordNet ids, which is that of published weights."""
    return tuple(_names_by_id().values())


def _names_by_id() -> dict[str, str]:
    lines = Path(__file__).with_name("classes.txt").read_text(encoding="utf-8").splitlines()
    return dict(sorted(line.split(" ", 1) for line in lines))  # type: ignore[arg-type]
