"""The verb ``predict``: a run's best checkpoint looks at images of the user's own."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visionkit.console import Printer, print_json
from visionkit.data.images import ImageFiles
from visionkit.errors import UserError
from visionkit.runs.folder import RunFolder

if TYPE_CHECKING:
    from visionkit.commands.kits import Results, TaskKit
    from visionkit.inference.options import PredictOptions
    from visionkit.runs.config import RunConfig

__all__ = ["predict"]


def predict(config: RunConfig, folder: RunFolder, files: ImageFiles, *, options: PredictOptions) -> int:
    """Predict what images hold and write it: tables of classes, annotated images and a file in COCO's form, or masks.

    Images go through the preprocessing of the run's validation and test splits. Files that cannot
    be read are left out, counted and named.

    Args:
        config: The run's configuration; its ``run_dir``, where given, takes the results.
        folder: The run.
        files: The images.
        options: What the person wishes beside.

    Returns:
        0.

    Raises:
        UserError: If no image can be read, or with ``strict=true`` if one cannot, or the task knows nothing
            of an option.
    """
    from visionkit.commands.kits import KITS
    from visionkit.distributed.devices import choose_accelerator, torch_device
    from visionkit.models import fold_norms
    from visionkit.models.prepare import prepare_model
    from visionkit.runs.checkpoint import load_run_model, read_data_info

    kit, data = KITS[config.task.name], read_data_info(folder)
    target = _target(config, folder, kit)
    new = not target.exists()
    accelerator = choose_accelerator(config.hardware)
    model = prepare_model(fold_norms(load_run_model(folder)), config.hardware).to(torch_device(accelerator))
    results = kit.results(
        model,
        config.source.preprocess(),
        data,
        target=target,
        paths=files.paths,
        precision=config.hardware.precision,
        options=options,
    )
    printer = Printer(to_stderr=config.format == "json")
    unreadable: dict[str, str] = {}
    read = 0
    size = 1 if options.window else min(config.recipe.batch_size, kit.at_once)
    try:
        for paths, prepared in _batches(config, size, results, files, data["in_channels"], unreadable):
            results.take(paths, prepared)
            read += len(paths)
            if printer.console.is_terminal:
                printer.console.print(f"{read + len(unreadable):,} of {len(files):,} images", end="\r")
        if not read:
            first = next(iter(unreadable.values()))
            raise UserError(f"source: none of the {len(files)} images can be read. The first: {first}")
    except UserError:
        if new:
            shutil.rmtree(target, ignore_errors=True)
        raise
    results.write()
    printer.say(
        *results.lines(),
        *([f"{len(unreadable):,} files could not be read and are left out:"] if unreadable else []),
        *(f"  {reason}" for reason in unreadable.values()),
        f"Written: {' and '.join(str(target / name) for name in kit.files)}",
    )
    if config.format == "json":
        print_json({"folder": str(target), "predictions": results.rows, "unreadable": unreadable})
    return 0


def _batches(
    config: RunConfig, size: int, results: Results, files: ImageFiles, in_channels: int, unreadable: dict[str, str]
) -> Iterator[tuple[list[Path], list[Any]]]:
    """Paths and what ``results`` keeps of so many images; ``unreadable`` collects what cannot be read."""
    from visionkit.data.images import load_image

    for start in range(0, len(files), size):
        paths, prepared = [], []
        for path in files.paths[start : start + size]:
            try:
                image = load_image(path, in_channels)
            except UserError as error:
                if config.strict:
                    raise
                unreadable[str(path)] = str(error)
                continue
            paths.append(path)
            prepared.append(results.prepare(image))
        if paths:
            yield paths, prepared


def _target(config: RunConfig, folder: RunFolder, kit: TaskKit) -> Path:
    """Where the results go: a folder that holds none yet."""
    if config.run_dir is None:
        return folder.path / "predictions" / time.strftime("%Y-%m-%d_%H-%M-%S")
    target = Path(config.run_dir).expanduser()
    if any((target / name).exists() for name in kit.files):
        raise UserError(
            f"run_dir: '{target}' already holds predictions. Expected another folder, such as run_dir={target}_2."
        )
    return target
