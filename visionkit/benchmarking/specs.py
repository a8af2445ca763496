"""The networks of a benchmark, with names by which they are told apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from visionkit.benchmarking.networks import NetworkSpec
from visionkit.benchmarking.options import BenchmarkOptions
from visionkit.blocks.shapes import pair
from visionkit.errors import UserError
from visionkit.runs.comparison import short_names
from visionkit.runs.config import RunConfig

__all__ = ["make_specs"]


def make_specs(
    plains: Sequence[Mapping[str, Any]], paths: Sequence[Path | None], options: BenchmarkOptions, *, use_dataset: bool
) -> list[NetworkSpec]:
    """What is measured, in the order in which it was typed.

    Args:
        plains: A configuration for each.
        paths: The folder of each run; None for networks with random weights.
        options: The user's.
        use_dataset: Whether such a network has the size and the classes of the data set.

    Raises:
        UserError: If two are of different tasks.
    """
    configs = [RunConfig.from_plain(plain, check_data=False) for plain in plains]
    names = [config.backbone.name for config in configs]
    runs = [path for path in paths if path is not None]
    first = configs[0].task.name
    for number, config in enumerate(configs):
        if config.task.name != first:
            raise UserError(
                f"benchmark: '{paths[0]}' has task {first}, and '{paths[number]}' has task {config.task.name}. Scores "
                "of different tasks do not compare. Expected runs of one task, such as: python -m visionkit runs "
                f"task={first}"
            )
    if len(set(names)) < len(names):
        folders = short_names(runs) if runs else [str(number) for number in range(1, len(names) + 1)]
        names = [f"{n} {f}" if names.count(n) > 1 else n for n, f in zip(names, folders, strict=True)]
    size = None if options.image_size is None else pair(options.image_size)
    return [
        NetworkSpec(name, plain, path, size, options.num_classes, use_dataset)
        for name, plain, path in zip(names, plains, paths, strict=True)
    ]
