"""What the toolkit adds to a loop written by hand: LeNet on MNIST-size data, both in turns in one process.

The loop by hand is plain PyTorch: the same architecture and memory layout written out, the same batches in memory,
the same optimizer and learning rate, a validation with accuracy at the end of the epoch. The toolkit's epoch goes
through its Trainer with everything on: progress on a terminal, metrics of training and validation, a row in
metrics.csv, checkpoints. The sides take turns every few steps; the ratio is the median over epochs.

Both run on one thread and, where the system can, on one core. The exit code is 1 if the toolkit takes more than
--limit times the loop by hand.
"""

import argparse
import io
import itertools
import json
import os
import statistics
import sys
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

from visionkit.config_files import overlay, read_group_file
from visionkit.console import Printer
from visionkit.models import create_model
from visionkit.models.prepare import prepare_model
from visionkit.runs.environment import describe_environment
from visionkit.runs.folder import RunFolder
from visionkit.settings import Debug, Hardware, Recipe
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


Seconds = tuple[float, float]
"""Of wall time, and of the process's CPU time, which other work on the machine disturbs less."""


def main() -> int:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="epochs of each side; the first is not counted (7)")
    parser.add_argument("--images", type=int, default=60_000, help="training images (60000)")
    parser.add_argument("--batch-size", type=int, default=64, help="images per batch (64)")
    parser.add_argument("--turn", type=int, default=16, help="steps of one side before the other's (16)")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch; one is kept to one core (1)")
    parser.add_argument("--limit", type=float, default=1.08, help="the largest ratio of wall time allowed (1.08)")
    parser.add_argument("--accelerator", choices=["cpu", "cuda"], default="cpu", help="device (cpu)")
    parser.add_argument("--format", choices=["text", "json"], default="text", help="what is printed (text)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures into this file")
    options = parser.parse_args()
    if options.rounds < 2 or options.images < options.batch_size:
        parser.error("at least 2 rounds and one batch of images are needed")
    torch.set_num_threads(options.threads)
    if options.threads == 1 and options.accelerator == "cpu" and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    figures = measure(options)
    text = json.dumps(figures, indent=2)
    if options.json is not None:
        options.json.write_text(text + "\n", encoding="utf-8")
    if options.format == "json":
        print(text)
    else:
        report(figures)
    return int(not figures["passed"])


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Seconds of each epoch on both sides, medians, and their ratio."""
    seed(0)
    device = torch.device(options.accelerator)
    train = make_batches(options.images, options.batch_size, device)
    val = make_batches(max(options.images // 12, options.batch_size), options.batch_size, device)
    optimizer = {"type": "sgd", "momentum": 0.9, "nesterov": True, "weight_decay": 5e-4}
    changes = {"epochs": options.rounds, "batch_size": options.batch_size, "lr": 0.01, "optimizer": optimizer}
    schedule = {"type": "constant", "warmup_epochs": 0}
    recipe = Recipe.from_config(overlay(read_group_file("recipe", "sgd"), changes | {"schedule": schedule}))
    turns = Turns(HandWritten(train, val, recipe, device), steps=options.turn)
    with tempfile.TemporaryDirectory() as folder:
        run_toolkit(RunFolder(Path(folder)), train, val, recipe, options.accelerator, turns)
    hand, toolkit = turns.by_hand[1:], turns.toolkit[1:]
    added = statistics.median(ours[0] - theirs[0] for ours, theirs in zip(toolkit, hand, strict=True))
    ratio = _median_ratio(toolkit, hand, 0)
    return {
        "seconds_by_hand": [round(wall, 4) for wall, _ in hand],
        "seconds_toolkit": [round(wall, 4) for wall, _ in toolkit],
        "median_by_hand": round(statistics.median(wall for wall, _ in hand), 4),
        "median_toolkit": round(statistics.median(wall for wall, _ in toolkit), 4),
        "ratio": ratio,
        "cpu_ratio": _median_ratio(toolkit, hand, 1),
        "limit": options.limit,
        "passed": ratio <= options.limit,
        "steps_per_epoch": len(train),
        "microseconds_added_per_step": round(added / len(train) * 1e6, 1),
        "images": options.images,
        "batch_size": options.batch_size,
        "accelerator": options.accelerator,
        "environment": describe_environment(),
    }


def _median_ratio(toolkit: list[Seconds], hand: list[Seconds], kind: int) -> float:
    return round(statistics.median(ours[kind] / theirs[kind] for ours, theirs in zip(toolkit, hand, strict=True)), 4)


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
        self.accuracy = 0.0

    def epoch(self) -> Iterator[None]:
        """Train and validate once, stopping after each training step."""
        self.net.train()
        for batch in self.train:
            x = batch["images"].float().div_(255).sub_(0.5).div_(0.5)
            loss = nn.functional.cross_entropy(self.net(x), batch["label"])
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            yield
        self.net.eval()
        correct = torch.zeros((), device=self.device)
        with torch.inference_mode():
            for batch in self.val:
                x = batch["images"].float().div_(255).sub_(0.5).div_(0.5)
                correct += (self.net(x).argmax(1) == batch["label"]).sum()
        self.accuracy = correct.item() / sum(len(batch["label"]) for batch in self.val)


class Turns(Checkpoint):
    """Comes last in the toolkit's epoch: every few steps stops its clock and lets the other side do as many.

    Turns of a fraction of a second see the same machine; whole epochs of a shared one differ by a third.

    Attributes:
        toolkit: Seconds of wall time and of the process's CPU time of each epoch.
        by_hand: Likewise.
    """

    def __init__(self, by_hand_loop: HandWritten, *, steps: int) -> None:
        self.loop, self.steps = by_hand_loop, steps
        self.toolkit: list[Seconds] = []
        self.by_hand: list[Seconds] = []
        self._began: Seconds = (0.0, 0.0)
        self._start_epoch()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self._began = self._clock()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """The other side's turn, after some steps."""
        if (batch_idx + 1) % self.steps == 0:
            self._take_turn(self.steps)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The rest of the other side's epoch."""
        self._take_turn(None)
        self.toolkit.append(self._toolkit)
        self.by_hand.append(self._by_hand)
        self._start_epoch()

    def _start_epoch(self) -> None:
        self._toolkit: Seconds = (0.0, 0.0)
        self._by_hand: Seconds = (0.0, 0.0)
        self._rest = self.loop.epoch()

    def _take_turn(self, steps: int | None) -> None:
        now = self._clock()
        for _ in itertools.islice(self._rest, steps):
            pass
        then, self._began = self._began, self._clock()
        self._toolkit = (self._toolkit[0] + now[0] - then[0], self._toolkit[1] + now[1] - then[1])
        self._by_hand = (self._by_hand[0] + self._began[0] - now[0], self._by_hand[1] + self._began[1] - now[1])

    def _clock(self) -> Seconds:
        if self.loop.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter(), time.process_time()


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
        f"{figures['microseconds_added_per_step']} microseconds added per step; "
        f"ratio of CPU time {figures['cpu_ratio']:.3f}"
    )
    console.print(", ".join(f"{name} {number}" for name, number in environment["versions"].items()))
    console.print(f"{environment['cpu']}, {environment['threads']} threads; GPUs: {environment['gpus'] or 'none'}")
    console.print(f"{'kept' if figures['passed'] else 'MISSED'}: at most {figures['limit']:g} times is wanted")


if __name__ == "__main__":
    sys.exit(main())
