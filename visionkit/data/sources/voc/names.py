"""The names of images in lists and XML files, and the files that they stand for."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from visionkit.data.image_files import is_image_name
from visionkit.data.sources.split_names import normal_name
from visionkit.errors import UserError
from visionkit.files import read_text
from visionkit.text import normal_form

__all__ = ["find_stem", "hold_val_out", "read_list", "stem_of", "unique_base_names"]

_LABEL = re.compile(r"\s+-?[01]$")  # of the lists of one class: "2008_000008 -1"


def read_list(file: Path) -> list[str]:
    """The lines of a list of images, stripped, without repetitions and empty ones.

    Raises:
        UserError: If it cannot be read.
    """
    try:
        text = read_text(file)
    except (OSError, UnicodeError) as error:
        raise UserError(f"dataset.root: '{file}' cannot be read: {error}. Expected an image's name per line.") from None
    return list(dict.fromkeys(stripped for line in re.split(r"[\r\n]+", text) if (stripped := line.strip())))


def stem_of(name: str) -> str:
    """A name without the ending of an image; other dots belong to the name."""
    return os.path.splitext(name)[0] if is_image_name(name) else name


def find_stem(name: str, known: Collection[str]) -> str | None:
    """The stem that a line of a list or the ``filename`` of an XML file stands for, None if it is not known.

    Names may hold spaces and dots. They may have the ending of an image, a folder of either system before them, and in
    lists a class label of -1, 0 or 1 behind them; what is known as it stands is taken so.

    Args:
        name: The line or the file name.
        known: The stems of all images, or of all annotation files, in Unicode's composed form.
    """
    name = normal_form(name)
    without_label = _LABEL.sub("", name)
    candidates = [form for text in dict.fromkeys((name, without_label)) for form in _forms(text)]
    return next((form for form in candidates if form in known), None)


def hold_val_out(listed: Mapping[str, Sequence[str]], lists: Mapping[str, Path]) -> dict[str, list[str]]:
    """The stems of each split, those of train without those of val if its list is ``trainval.txt``, which has both."""
    stems = {split: list(names) for split, names in listed.items()}
    if "val" in stems and normal_name(lists["train"].stem) == "trainval":
        held_out = set(stems["val"])
        stems["train"] = [stem for stem in stems["train"] if stem not in held_out]
    return stems


def unique_base_names(stems: Iterable[str]) -> Mapping[str, str]:
    """The stem of each base name that one image alone has."""
    found: dict[str, list[str]] = {}
    for stem in stems:
        found.setdefault(os.path.basename(stem), []).append(stem)
    return {base: matching[0] for base, matching in found.items() if len(matching) == 1}


def _forms(text: str) -> list[str]:
    path = text.replace("\\", "/")
    return [text, stem_of(text), path, stem_of(path), os.path.basename(path), stem_of(os.path.basename(path))]
