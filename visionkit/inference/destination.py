"""Where ``predict`` writes its results: a folder, or one file; what is there is never overwritten."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from visionkit.data.image_files import readable_suffixes
from visionkit.errors import UserError
from visionkit.files import check_writable, expand_user
from visionkit.schema import describe

__all__ = ["OutputOptions", "check_apart", "check_new", "choose_target"]

_FORMATS = ("text", "json", "csv")
_PICTURES, _TABLES = (".jpg", ".jpeg", ".png"), (".csv", ".json")
_NO_FOLDERS = {".txt", ".xml", ".xlsx", ".xls", ".tsv", ".parquet", ".jsonl", ".pdf", ".html", ".zip"}


@dataclass(frozen=True)
class OutputOptions:
    """The options of ``predict`` that shape its output.

    Attributes:
        out: A folder, or a file that ends in ``.jpg``, ``.png``, ``.csv`` or ``.json``; None for the default.
        draw: Whether annotated images are written; None for the default of the task.
        format: What is printed: lines, or one document or table on standard output.
    """

    out: str | None
    draw: bool | None
    format: Literal["text", "json", "csv"]

    @classmethod
    def read(cls, options: Mapping[str, Any]) -> OutputOptions:
        """Parse and validate the user's options; other keys are ignored.

        Raises:
            UserError: If a value is invalid.
        """
        draw, form = options.get("draw"), options.get("format", "text")
        if draw is not None and not isinstance(draw, bool):
            raise UserError(f"draw: expected true or false, found {describe(draw)}. Try: draw=true")
        if form not in _FORMATS:
            raise UserError(f"format: expected text, json or csv, found {describe(form)}. Try: format=csv")
        out = options.get("out")
        if draw is False and out is not None and Path(out).suffix.lower() in _PICTURES:
            raise UserError(f"draw=false writes no picture, and out={out} is one. Leave one of both out.")
        return cls(out, draw, cast(Literal["text", "json", "csv"], form))


def check_apart(target: Path, source: str, *, where: str) -> None:
    """Check that results do not lie among the images, which the next call would take for images too.

    Args:
        target: Of the results.
        source: Of the images.
        where: The key that names the target.

    Raises:
        UserError: If they do.
    """
    folder = expand_user(source)
    if folder.is_dir() and target.suffix.lower() not in (*_PICTURES, *_TABLES):
        inside, outside = Path(os.path.realpath(target)), Path(os.path.realpath(folder))
        if inside == outside or outside in inside.parents:
            raise UserError(
                f"{where}: '{target}' lies in the folder of the images, which would hold pictures of results then. "
                f"Expected another folder. Try: {where}={outside.name}_predictions"
            )


def choose_target(out: str | None, run_dir: str | None, run: Path, *, num_images: int) -> Path:
    """The folder or file of the results, checked to be writable.

    Args:
        out: As in `OutputOptions`.
        run_dir: Another word for a folder.
        run: The folder of the run, inside of which results are written unless said otherwise.
        num_images: The number of images.

    Raises:
        UserError: If it cannot be written, is no form of result, or is the picture of one image and there are more.
    """
    if out is not None and run_dir is not None:
        raise UserError(f"out={out} and run_dir={run_dir} both say where the results go. Give one of them.")
    if out is None:
        target = run / "predictions" / time.strftime("%Y-%m-%d_%H-%M-%S") if run_dir is None else Path(run_dir)
        target = expand_user(target)
        check_writable(target, where="run_dir")
        return target
    target, suffix = expand_user(out), Path(out).suffix.lower()
    if suffix not in (*_PICTURES, *_TABLES) or target.is_dir():
        if suffix in _NO_FOLDERS | set(readable_suffixes()) - set(_PICTURES) and not target.is_dir():
            raise UserError(
                f"out: '{out}' ends in '{suffix}', which is not written. Expected a folder, a picture (.jpg, .png), a "
                f"table (.csv) or a document (.json). Try: out={Path(out).with_suffix('.csv')}"
            )
        check_writable(target, where="out")
        return target
    if suffix in _PICTURES and num_images > 1:
        raise UserError(
            f"out: '{out}' is one picture, and there are {num_images:,} images. Expected a folder. "
            f"Try: out={Path(out).with_suffix('')}"
        )
    check_writable(target.parent, where="out")
    check_new([target], where="out", target=target)
    return target


def check_new(files: Sequence[Path], *, where: str, target: Path) -> None:
    """Check that none of the files of results is there yet.

    Raises:
        UserError: If one is.
    """
    present = next((file for file in files if file.exists() or file.is_symlink()), None)
    if present is None:
        return
    if present == target:
        other = target.with_name(f"{target.stem}_2{target.suffix}")
        raise UserError(
            f"{where}: '{target}' is there already, and is not overwritten. Expected another file. Try: {where}={other}"
        )
    raise UserError(
        f"{where}: '{target}' already holds predictions. Expected another folder, such as {where}={target}_2."
    )
