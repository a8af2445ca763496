"""The names of classes in nnU-Net's ``dataset.json``, which lies beside ``imagesTr`` (Isensee et al. 2021)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from visionkit.data.findings import Finding
from visionkit.data.sources.masks.class_map import MAX_ID, ClassMap
from visionkit.data.sources.masks.guessing import describe_values
from visionkit.errors import UserError
from visionkit.files import read_json
from visionkit.structures.class_ids import MAX_CLASSES
from visionkit.text import normal_form

__all__ = ["LabelFile"]

_NAME = "dataset.json"
_MAX_BYTES = 64 << 20
_IGNORED = "ignore"


@dataclass(frozen=True)
class LabelFile:
    """The ``labels`` of a ``dataset.json``.

    Attributes:
        names: The name of each id, None for that of nnU-Net's ``ignore``; empty if they cannot be used.
        problem: Why they cannot be used.
    """

    names: Mapping[int, str | None] = field(default_factory=dict)
    problem: str = ""

    @classmethod
    def read(cls, folder: Path) -> LabelFile | None:
        """Read the file in a folder; None if there is none, or it is another program's.

        ``labels`` is ``{"background": 0, "lung": 1}``, or ``{"0": "background", "1": "lung"}`` in the first version.
        """
        if not (folder / _NAME).is_file():
            return None
        try:
            content = read_json(folder / _NAME, advice="", max_bytes=_MAX_BYTES)
        except UserError as error:
            return cls(problem=str(error).strip())
        labels = content.get("labels") if isinstance(content, dict) else None
        if not isinstance(labels, dict) or not labels:
            return None
        names: dict[int, str | None] = {}
        for key, value in labels.items():
            number, name = (int(key), value) if _is_number(key) and isinstance(value, str) else (value, key)
            if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= MAX_ID:
                return cls(problem=f"'{key}' stands for no id of its own")
            if number in names:
                return cls(problem=f"the id {number} has two names")
            names[number] = None if name == _IGNORED else normal_form(name).strip()
        if len(set(names.values())) < len(names) or not all(name != "" for name in names.values()):
            return cls(problem="a name is there twice, or empty")
        if not 2 <= sum(name is not None for name in names.values()) <= MAX_CLASSES:
            return cls(problem=f"it names {len(names)}")
        return cls(names)

    def class_map(self, values: Collection[int], ignored: Collection[int]) -> tuple[ClassMap | None, list[Finding]]:
        """The class of each value, and a finding; None if a value of the masks has no name.

        Args:
            values: The values in the training masks.
            ignored: The values that are ignored.
        """
        unnamed = sorted(set(values) - set(ignored) - set(self.names))
        problem = self.problem or (f"masks hold {describe_values(unnamed)} too" if unnamed else "")
        if problem:
            return None, [Finding.counted("class-names-unfit", 1, file=_NAME, reason=problem)]
        names = {number: None if number in ignored else name for number, name in self.names.items()}
        named = [f"{number} {name}" for number, name in sorted(names.items()) if name is not None]
        return ClassMap(names, coloured=False), Finding.of("class-names-found", named, file=_NAME)


def _is_number(key: str) -> bool:
    return key.isascii() and key.isdigit() and len(key) <= len(str(MAX_ID))
