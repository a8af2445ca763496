"""The verb ``predict``: a run's best checkpoint looks at images of the user's own."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visionkit.commands.results import print_json
from visionkit.data.files import ImageFiles
from visionkit.errors import UserError
from visionkit.output import write_atomic
from visionkit.training.console import Printer
from visionkit.training.run_folder import RunFolder

if TYPE_CHECKING:
    from torch import Tensor

    from visionkit.commands.run_config import RunConfig

__all__ = ["predict"]

_SHOWN = 20


def predict(config: RunConfig, folder: RunFolder, files: ImageFiles) -> int:
    """Classify images and write ``predictions.csv`` and ``predictions.json``.

    Images go through the preprocessing of the run's validation and test splits. Files that cannot
    be read are left out, counted and named.

    Args:
        config: The run's configuration; its ``run_dir``, where given, takes the results.
        folder: The run.
        files: The images.

    Returns:
        0.

    Raises:
        UserError: If no image can be read, or with ``strict=true`` if one cannot.
    """
    from visionkit.training.checkpoint import load_run_model, read_data_info
    from visionkit.training.hardware import choose_accelerator, prepare_model, torch_device

    target = _target(config, folder)
    accelerator = choose_accelerator(config.hardware)
    names: list[str] = read_data_info(folder)["class_names"]
    model = prepare_model(load_run_model(folder), config.hardware).to(torch_device(accelerator))
    printer = Printer(to_stderr=config.format == "json")
    unreadable: dict[str, str] = {}
    rows: list[dict[str, Any]] = []
    for paths, images in _batches(config, files, read_data_info(folder)["in_channels"], unreadable):
        rows += _classify(model, images, paths, names, precision=config.hardware.precision)
        if printer.console.is_terminal:
            printer.console.print(f"{len(rows) + len(unreadable):,} of {len(files):,} images", end="\r")
    if not rows:
        first = next(iter(unreadable.values()))
        raise UserError(f"source: none of the {len(files)} images can be read. The first: {first}")
    _write(target, names, rows)
    _say(printer, target, names, rows, unreadable)
    if config.format == "json":
        print_json({"folder": str(target), "predictions": rows, "unreadable": unreadable})
    return 0


def _batches(
    config: RunConfig, files: ImageFiles, in_channels: int, unreadable: dict[str, str]
) -> Iterator[tuple[list[str], Tensor]]:
    """Paths and preprocessed images (B, C, H, W) uint8; ``unreadable`` collects what cannot be read."""
    import torch

    from visionkit.data.transforms import load_image

    preprocess = config.source.preprocess()
    size = config.recipe.batch_size
    for start in range(0, len(files), size):
        paths, images = [], []
        for path in files.paths[start : start + size]:
            try:
                image = preprocess(load_image(path, in_channels))
            except UserError as error:
                if config.strict:
                    raise
                unreadable[str(path)] = str(error)
                continue
            paths.append(str(path))
            images.append(image)
        if images:
            yield paths, torch.stack(images)


def _classify(
    model: Any, images: Tensor, paths: Sequence[str], names: Sequence[str], *, precision: str
) -> list[dict[str, Any]]:
    import torch

    device = next(model.parameters()).device
    reduced = {"bf16": torch.bfloat16, "16": torch.float16}.get(precision)
    with torch.inference_mode(), torch.autocast(device.type, reduced, enabled=reduced is not None):
        predictions = model.predict(model(images.to(device)))
    labels, probabilities = predictions["labels"].tolist(), predictions["probabilities"].tolist()
    return [
        {
            "file": path,
            "label": label,
            "class": names[label],
            "score": row[label],
            "probabilities": dict(zip(names, row, strict=True)),
        }
        for path, label, row in zip(paths, labels, probabilities, strict=True)
    ]


def _target(config: RunConfig, folder: RunFolder) -> Path:
    """Where the results go: a folder that holds none yet."""
    if config.run_dir is None:
        return folder.path / "predictions" / time.strftime("%Y-%m-%d_%H-%M-%S")
    target = Path(config.run_dir).expanduser()
    if (target / "predictions.csv").exists() or (target / "predictions.json").exists():
        raise UserError(
            f"run_dir: '{target}' already holds predictions. Expected another folder, such as run_dir={target}_2."
        )
    return target


def _write(target: Path, names: Sequence[str], rows: Sequence[dict[str, Any]]) -> None:
    table = io.StringIO(newline="")
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["file", "label", "class", "score", *names])
    for row in rows:
        probabilities = (f"{value:.6f}" for value in row["probabilities"].values())
        writer.writerow([row["file"], row["label"], row["class"], f"{row['score']:.6f}", *probabilities])
    write_atomic(target / "predictions.csv", table.getvalue())
    write_atomic(target / "predictions.json", json.dumps(list(rows), indent=1, ensure_ascii=False) + "\n")


def _say(
    printer: Printer, target: Path, names: Sequence[str], rows: Sequence[dict[str, Any]], unreadable: dict[str, str]
) -> None:
    for row in rows[:_SHOWN]:
        printer.say(f"{row['file']}: {row['class']} ({row['score']:.1%})")
    if len(rows) > _SHOWN:
        printer.say(f"... and {len(rows) - _SHOWN:,} more")
    counts = {name: sum(row["class"] == name for row in rows) for name in names}
    printer.say(
        f"{len(rows):,} images: " + ", ".join(f"{name} {count:,}" for name, count in counts.items() if count),
        *([f"{len(unreadable):,} files could not be read and are left out:"] if unreadable else []),
        *(f"  {reason}" for reason in unreadable.values()),
        f"Written: {target / 'predictions.csv'} and {target / 'predictions.json'}",
    )
