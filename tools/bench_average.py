"""What an average of the weights adds to a training step, and what a save within an epoch takes.

Steps with and without `recipe.ema` alternate in one process on the same network, data and optimizer; the update alone
is timed too, since a step varies by more than it takes. A save is that of
a run's checkpoint with the average, as `recipe.checkpoint_every` makes it, flushed to the disk.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from visionkit.config_files import read_group_file
from visionkit.models import create_model
from visionkit.settings import Recipe
from visionkit.tasks.averaging import WeightAverage
from visionkit.training.checkpoint_io import SafeCheckpointIO
from visionkit.training.optimizers import make_optimizer

NETWORKS = (("lenet", 32, 1, 64), ("resnet20", 32, 3, 64), ("resnet18", 64, 3, 32), ("mobilenet_v3_small", 64, 3, 32))
"""Backbone, image size, channels and images of a batch."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=60, help="steps of each side, after five that are not counted")
    parser.add_argument("--quick", action="store_true", help="the first network alone, 10 rounds")
    parser.add_argument("--threads", type=int, default=1, help="of torch (1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures into this file")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rounds = 10 if options.quick else options.rounds
    rows = [measure(*network, rounds=rounds) for network in NETWORKS[: 1 if options.quick else None]]
    table = Table(
        title=f"milliseconds (of the processor; save: by the clock), medians of {rounds}", title_justify="left"
    )
    for name in rows[0]:
        table.add_column(name, justify="left" if name == "network" else "right")
    for row in rows:
        table.add_row(*map(str, row.values()))
    Console(highlight=False).print(table)
    if options.json is not None:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def measure(backbone: str, size: int, channels: int, batch_size: int, *, rounds: int) -> dict[str, object]:
    """The row of a network."""
    torch.manual_seed(0)
    model = create_model(
        "classify", backbone, num_classes=10, image_size=size, in_channels=channels
    ).use_channels_last()  # fmt: skip
    recipe = Recipe.from_config(read_group_file("recipe", "adamw"))
    optimizer = make_optimizer(model, settings=recipe.optimizer, lr=recipe.lr)
    average = WeightAverage(model, decay=0.9998, warmup=True)
    images = torch.randint(0, 256, (batch_size, channels, size, size), dtype=torch.uint8)
    labels = torch.randint(0, 10, (batch_size,))

    def step() -> None:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images)["logits"], labels).backward()
        optimizer.step()

    def averaged_step() -> None:
        step()
        average.update()

    turns = [(cpu_seconds(step), cpu_seconds(averaged_step), cpu_seconds(average.update)) for _ in range(rounds + 5)]
    pairs = turns[5:]
    plain, _, update = (statistics.median(side) for side in zip(*pairs, strict=True))
    ratio = statistics.median(averaged / alone for alone, averaged, _ in pairs)
    state = model.state_dict()
    content = {"state_dict": state, "weights_in_training": average.averaged(), "optimizer": optimizer.state_dict()}
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        file = Path(folder) / "last.ckpt"
        save = statistics.median(
            wall_seconds(lambda: SafeCheckpointIO().save_checkpoint(content, file)) for _ in "12345"
        )
        megabytes = file.stat().st_size / 1e6
    return {
        "network": f"{backbone}, {batch_size} x {size}",
        "step": round(1e3 * plain, 2),
        "update": round(1e3 * update, 3),
        "update / step": f"{update / plain:.2%}",
        "step with / without": round(ratio, 4),
        "save": round(1e3 * save, 1),
        "MB": round(megabytes, 1),
    }


def cpu_seconds(work: Callable[[], object]) -> float:
    """The time of the processor, which other work on the machine disturbs less."""
    start = time.process_time()
    work()
    return time.process_time() - start


def wall_seconds(work: Callable[[], object]) -> float:
    """The time that a person waits, for the disk too."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
