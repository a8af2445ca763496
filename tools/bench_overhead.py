"""What the toolkit adds to a loop written by hand: LeNet on MNIST-size data, both in turns in one process.

The loop by hand is plain PyTorch: the same architecture and memory layout written out, the same batches in memory,
the same optimizer and learning rate, a validation with accuracy at the end of the epoch. The toolkit's epoch goes
through its Trainer with everything on: progress on a terminal, metrics of training and validation, a row in
metrics.csv, checkpoints.
"""

import argparse
import io
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Checkpoint
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from visionkit.config_files import read_group_file
from visionkit.console import Printer
from visionkit.models import create_model
from visionkit.models.prepare import prepare_model
from visionkit.runs.environment import describe_environment
from visionkit.runs.folder import RunFolder
from visionkit.settings import Constant, Debug, Hardware, Recipe, Sgd
from visionkit.tasks.build import build_task
from visionkit.tasks.info import TASKS
from visionkit.training.callbacks.display import ProgressDisplay
from visionkit.training.callbacks.divergence import StopOnDivergence
from visionkit.training.callbacks.interrupt import Interrupt
from visionkit.training.callbacks.progress import Progress
from visionkit.training.callbacks.recorder import Recorder
from visionkit.training.optimizers import make_optimizer, parameter_groups
from visionkit.training.schedules import make_schedule
from visionkit.training.trainer import make_trainer, quiet, seed


class Batches:
    """Batches that lie in memory; a plain list would be taken for several loaders."""

    def __init__(self, batches: list[dict[str, Tensor]]) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        return iter(self.batches)


CONSTANT = Constant(warmup_epochs=0, end_factor=0, milestones=(), gamma=0.1, rise=0.3, start_factor=0.04)


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="epochs of each side; the first is not counted (7)")
    parser.add_argument("--images", type=int, default=60_000, help="training images (60000)")
    parser.add_argument("--batch-size", type=int, default=64, help="images per batch (64)")
    parser.add_argument("--accelerator", choices=["cpu", "cuda"], default="cpu", help="device (cpu)")
    parser.add_argument("--format", choices=["text", "json"], default="text", help="what is printed (text)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures into this file")
    options = parser.parse_args()
    if options.rounds < 2 or options.images < options.batch_size:
        parser.error("at least 2 rounds and one batch of images are needed")
    figures = measure(options)
    text = json.dumps(figures, indent=2)
    if options.json is not None:
        options.json.write_text(text + "\n", encoding="utf-8")
    if options.format == "json":
        print(text)
    else:
        report(figures)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Seconds of each epoch on both sides, medians, and their ratio."""
    seed(0)
    device = torch.device(options.accelerator)
    train = make_batches(options.images, options.batch_size, device)
    val = make_batches(max(options.images // 12, options.batch_size), options.batch_size, device)
    recipe = Recipe(
        epochs=options.rounds, batch_size=options.batch_size, lr=0.01, clip_norm=None, accumulate=1,
        early_stopping=None, on_nan="stop", teacher=None, schedule=CONSTANT,
        optimizer=Sgd(momentum=0.9, nesterov=True, weight_decay=5e-4),
    )  # fmt: skip
    by_hand = HandWritten(train, val, recipe, device)
    by_hand.epoch()
    with tempfile.TemporaryDirectory() as folder:
        turns = Turns(by_hand)
        run_toolkit(RunFolder(Path(folder)), train, val, recipe, options.accelerator, turns)
    hand, toolkit = turns.by_hand[1:], turns.toolkit[1:]
    return {
        "seconds_by_hand": [round(s, 4) for s in hand],
        "seconds_toolkit": [round(s, 4) for s in toolkit],
        "median_by_hand": round(statistics.median(hand), 4),
        "median_toolkit": round(statistics.median(toolkit), 4),
        "ratio": round(statistics.median(toolkit) / statistics.median(hand), 4),
        "steps_per_epoch": len(train),
        "microseconds_added_per_step": round(
            (statistics.median(toolkit) - statistics.median(hand)) / len(train) * 1e6, 1
        ),
        "images": options.images,
        "batch_size": options.batch_size,
        "accelerator": options.accelerator,
        "environment": describe_environment(),
    }


def make_batches(images: int, batch_size: int, device: torch.device) -> Batches:
    """Batches of random digits' size: (B, 1, 32, 32) uint8 and labels (B,)."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (images, 1, 32, 32), dtype=torch.uint8, generator=generator)
    labels = torch.randint(0, 10, (images,), generator=generator)
    pairs = zip(pixels.split(batch_size), labels.split(batch_size), strict=True)
    return Batches([{"images": x.to(device), "label": y.to(device)} for x, y in pairs])


class HandWritten:
    """What one would write without the toolkit."""

    def __init__(self, train: Batches, val: Batches, recipe: Recipe, device: torch.device) -> None:
        self.train, self.val, self.device = train, val, device
        self.net = nn.Sequential(
            nn.Conv2d(1, 6, 5), nn.Tanh(), nn.MaxPool2d(2),
            nn.Conv2d(6, 16, 5), nn.Tanh(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(400, 120), nn.Tanh(), nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10),
        ).to(device, memory_format=torch.channels_last)  # fmt: skip
        groups = parameter_groups(self.net, weight_decay=recipe.optimizer.weight_decay)
        self.optimizer = torch.optim.SGD(groups, lr=recipe.lr, momentum=0.9, nesterov=True, fused=True)

    def epoch(self) -> float:
        """Train and validate once; the accuracy."""
        self.net.train()
        for batch in self.train:
            x = batch["images"].float().div_(255).sub_(0.5).div_(0.5)
            loss = nn.functional.cross_entropy(self.net(x), batch["label"])
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
        self.net.eval()
        correct = torch.zeros((), device=self.device)
        with torch.inference_mode():
            for batch in self.val:
                x = batch["images"].float().div_(255).sub_(0.5).div_(0.5)
                correct += (self.net(x).argmax(1) == batch["label"]).sum()
        return correct.item() / sum(len(batch["label"]) for batch in self.val)


class Turns(Checkpoint):
    """Comes last in the toolkit's epoch: stops its clock, runs the other side, and starts the clock again."""

    def __init__(self, by_hand_loop: HandWritten) -> None:
        self.loop = by_hand_loop
        self.toolkit: list[float] = []
        self.by_hand: list[float] = []
        self._began = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self._began = self._clock()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The other side's turn."""
        now = self._clock()
        self.toolkit.append(now - self._began)
        self.loop.epoch()
        self._began = self._clock()
        self.by_hand.append(self._began - now)

    def _clock(self) -> float:
        if self.loop.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()


def run_toolkit(
    folder: RunFolder, train: Batches, val: Batches, recipe: Recipe, accelerator: str, turns: Turns
) -> None:
    """Train as the command does, on a terminal that nobody sees."""
    hardware = Hardware.from_config(read_group_file("hardware", "auto"))
    model = prepare_model(create_model("classify", "lenet", num_classes=10, image_size=32), hardware)
    names = tuple(str(digit) for digit in range(10))
    task = build_task(
        TASKS["classify"],
        model,
        class_names=names,
        optimizer_fn=lambda net: make_optimizer(net, settings=recipe.optimizer, lr=recipe.lr),
        schedule_fn=make_schedule(recipe),
    )
    printer = Printer(console=Console(file=io.StringIO(), force_terminal=True, width=120))
    progress = Progress(ProgressDisplay(printer, epochs=recipe.epochs))
    interrupt = Interrupt(folder.last_checkpoint, printer.announce)
    recorder = Recorder(folder, TASKS["classify"], progress)
    with quiet(), interrupt:
        trainer = make_trainer(
            hardware=hardware,
            accelerator=accelerator,
            debug=Debug(limit_batches=None, batch_size=None, epochs=None, compare_contents=True),
            recipe=recipe,
            folder=folder,
            info=TASKS["classify"],
            callbacks=[progress, StopOnDivergence(), interrupt, recorder, turns],
        )
        trainer.fit(task, train_dataloaders=train, val_dataloaders=val)


def report(figures: dict[str, Any]) -> None:
    """Print the figures for a person."""
    table = Table(title="seconds per epoch, in turns", title_justify="left")
    for column in ("round", "by hand", "toolkit", "ratio"):
        table.add_column(column, justify="right")
    pairs = zip(figures["seconds_by_hand"], figures["seconds_toolkit"], strict=True)
    for number, (hand, toolkit) in enumerate(pairs, start=1):
        table.add_row(str(number), f"{hand:.3f}", f"{toolkit:.3f}", f"{toolkit / hand:.3f}")
    table.add_section()
    ratio = f"{figures['ratio']:.3f}"
    table.add_row("median", f"{figures['median_by_hand']:.3f}", f"{figures['median_toolkit']:.3f}", ratio)
    environment = figures["environment"]
    console = Console(highlight=False)
    console.print(table)
    console.print(
        f"{figures['steps_per_epoch']} steps of {figures['batch_size']} images on {figures['accelerator']}, "
        f"{figures['microseconds_added_per_step']} microseconds added per step"
    )
    console.print(", ".join(f"{name} {number}" for name, number in environment["versions"].items()))
    console.print(f"{environment['cpu']}, {environment['threads']} threads; GPUs: {environment['gpus'] or 'none'}")


if __name__ == "__main__":
    main()
