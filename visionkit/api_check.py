"""The check of a data set for Python, composed as the command ``check`` does."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal

from visionkit.os_errors import explain_os_errors

if TYPE_CHECKING:
    from visionkit.checking.report import CheckReport

__all__ = ["check"]

ConfigDir = str | os.PathLike[str]


@explain_os_errors()
def check(
    *words: str,
    deep: bool = False,
    labels: bool = False,
    fix: Literal["list"] | None = None,
    plot: bool = False,
    out: str | os.PathLike[str] = "check",
    cache: str | os.PathLike[str] | None = None,
    progress: bool = False,
    config_dir: ConfigDir | None = None,
    **keywords: Any,
) -> CheckReport:
    """What is wrong with a data set, before anything is trained on it, as the command ``check`` says it.

    Annotations, and header and end of each file are read; nothing is written to the data.

    Args:
        *words: As of `visionkit.train`, such as ``"dataset=coco"`` and ``"dataset.root=photos"``.
        deep: Whether all pixels are decoded too.
        labels: Whether five networks are trained to judge the labels of train that they have not seen.
        fix: ``"list"`` writes ``excluded.txt``, the images that should be left out, for ``dataset.exclude``.
        plot: Whether ``data.png``, ``train_batch.png`` and ``findings.png`` are drawn.
        out: The folder for these.
        cache: A folder that keeps what was seen of each file for the next check.
        progress: Whether the progress is shown.
        config_dir: A folder of your own with groups, as of ``--config-dir``.
        **keywords: As of `visionkit.train`.

    Returns:
        The report, with ``summary``, ``findings``, ``has_errors`` and ``to_json()``.

    Raises:
        UserError: If the configuration is wrong; faults of the data are findings.
    """
    from visionkit.cli.check_config import compose_check
    from visionkit.cli.given_objects import take_objects
    from visionkit.cli.keywords import config_folders, parse_call
    from visionkit.commands.check import check_data
    from visionkit.console import Printer

    objects, folders = take_objects(keywords), config_folders(config_dir)
    plain, options = compose_check(parse_call("check", words, keywords, folders), folders)
    printer = Printer() if progress else Printer.silent()
    options |= {
        "deep": deep,
        "labels": labels,
        "fix": fix,
        "plot": plot,
        "out": os.fspath(out),
        "cache": None if cache is None else os.fspath(cache),
    }
    return check_data(plain, options, printer=printer, objects=objects)
