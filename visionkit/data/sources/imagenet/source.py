"""ImageNet-1k in its usual layout, ``train/n01440764/`` and ``val/n01440764/``, with readable class names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from visionkit.data.sources.folder.layout import Layout
from visionkit.data.sources.folder.source import Folder
from visionkit.errors import UserError

__all__ = ["ImageNet"]


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
        lines = Path(__file__).with_name("classes.txt").read_text(encoding="utf-8").splitlines()
        names = dict(line.split(" ", 1) for line in lines)
        if all(name in names for name in classes):
            return tuple(names[name] for name in classes)
        return super()._display_names(classes)
