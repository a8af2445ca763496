"""The finders for Python, composed as the command ``find`` does."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from visionkit.os_errors import explain_os_errors

if TYPE_CHECKING:
    from visionkit.training.finders.batch_sizes import BatchSizes
    from visionkit.training.finders.rate_curve import RateCurve

__all__ = ["find_batch", "find_lr"]

ConfigDir = str | os.PathLike[str]


@explain_os_errors()
def find_lr(
    *words: str,
    low: float | None = None,
    high: float | None = None,
    steps: int | None = None,
    progress: bool = True,
    config_dir: ConfigDir | None = None,
    **keywords: Any,
) -> RateCurve:
    """A learning rate from a range test (Smith 2017, arXiv:1506.01186), as the command ``find lr`` finds it.

    A model of the test's own is trained with rates from ``low`` to ``high``; nothing is written.

    Args:
        *words: As of `visionkit.train`.
        low: The first rate; None for 1e-6.
        high: The last one, unless the loss diverges before; None for 10.
        steps: Of the optimizer, over the whole range; None for 140.
        progress: Whether the test is shown while it goes on.
        config_dir: A folder of your own with groups, as of ``--config-dir``.
        **keywords: As of `visionkit.train`, objects among them.

    Returns:
        The curve, with ``suggestion``, ``rates``, ``losses`` and ``draw(path)``.

    Raises:
        UserError: For what the command ends with exit code 2 for.
    """
    options = {"low": low, "high": high, "steps": steps}
    found: RateCurve = _find("lr", words, options, progress=progress, config_dir=config_dir, keywords=keywords)
    return found


@explain_os_errors()
def find_batch(
    *words: str,
    largest: int | None = None,
    seconds: float | None = None,
    progress: bool = True,
    config_dir: ConfigDir | None = None,
    **keywords: Any,
) -> BatchSizes:
    """The largest batch that fits into a GPU's memory, or the smallest that is fast on a CPU, as ``find batch`` does.

    Args:
        *words: As of `visionkit.train`.
        largest: No larger batch is tried; None for one that leaves ten steps in an epoch.
        seconds: For which each size is timed; None for 1.
        progress: Whether the sizes are shown while they are tried.
        config_dir: A folder of your own with groups, as of ``--config-dir``.
        **keywords: As of `visionkit.train`, objects among them.

    Returns:
        The sizes, with ``suggestion``, ``costs`` and ``scaled_lr``.

    Raises:
        UserError: For what the command ends with exit code 2 for.
    """
    options = {"largest": largest, "seconds": seconds}
    found: BatchSizes = _find("batch", words, options, progress=progress, config_dir=config_dir, keywords=keywords)
    return found


def _find(
    subject: str,
    words: tuple[str, ...],
    options: dict[str, Any],
    *,
    progress: bool,
    config_dir: ConfigDir | None,
    keywords: dict[str, Any],
) -> Any:
    from visionkit.cli.given_objects import take_objects
    from visionkit.cli.keywords import config_folders, parse_call
    from visionkit.cli.verb_configs import compose_finder
    from visionkit.commands.find import run_finder
    from visionkit.console import Printer

    objects, folders = take_objects(keywords), config_folders(config_dir)
    plain, typed = compose_finder(parse_call("find", words, keywords, folders), folders)
    typed |= {key: value for key, value in options.items() if value is not None}
    printer = Printer() if progress else Printer.silent()
    return run_finder(subject, plain, typed, printer=printer, objects=objects)
