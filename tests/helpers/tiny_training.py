"""Small stand-ins for a model and its data, with the interfaces of the real ones."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn

from tests.helpers.batch_losses import BatchLosses
from tests.helpers.settings import hardware
from visionkit.config_files import read_group_file
from visionkit.console import Printer
from visionkit.runs.folder import RunFolder
from visionkit.settings import Cosine, Debug, EarlyStopping, Hardware, Recipe, SaveInterval, Sgd
from visionkit.tasks.build import build_task
from visionkit.tasks.info import TASKS
from visionkit.training.build import freeze_stages
from visionkit.training.callbacks.display import ProgressDisplay
from visionkit.training.callbacks.divergence import StopOnDivergence
from visionkit.training.callbacks.interrupt import Interrupt
from visionkit.training.callbacks.progress import Progress
from visionkit.training.callbacks.recorder import Recorder
from visionkit.training.callbacks.time_limit import TimeLimit
from visionkit.training.optimizers import make_optimizer
from visionkit.training.schedules import make_schedule
from visionkit.training.trainer import make_trainer, quiet, seed

CLASSES = ("a", "b", "c")
HARDWARE = hardware()


class TinyModel(BatchLosses, nn.Module):
    """Three classes, told apart by which third of the pixels is bright."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(36, 3)

    def forward(self, images: Tensor, image_sizes: Tensor | None = None) -> dict[str, Tensor]:
        return {"logits": self.linear(images.flatten(1).float() / 255)}

    def loss(self, outputs: dict[str, Tensor], targets: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"loss": nn.functional.cross_entropy(outputs["logits"], targets["label"])}

    def predict(self, outputs: dict[str, Tensor], image_sizes: Tensor | None = None) -> dict[str, Tensor]:
        probabilities = outputs["logits"].softmax(1)
        scores, labels = probabilities.max(1)
        return {"probabilities": probabilities, "labels": labels, "scores": scores}


class Batches:
    """A loader over images in memory."""

    def __init__(self, number: int, *, batch_size: int = 8, start: int = 0) -> None:
        generator = torch.Generator().manual_seed(start)
        self.labels = torch.arange(number) % 3
        images = torch.randint(0, 120, (number, 3, 12), generator=generator)
        images[torch.arange(number), self.labels] += 100
        self.images = images.view(number, 1, 6, 6).to(torch.uint8)
        self.batch_size = batch_size

    def __len__(self) -> int:
        return -(-len(self.labels) // self.batch_size)

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        for x, y in zip(self.images.split(self.batch_size), self.labels.split(self.batch_size), strict=True):
            yield {"images": x, "label": y}


def recipe(**changes: object) -> Recipe:
    schedule = Cosine(
        warmup_epochs=0.5, end_factor=0.0, milestones=(), gamma=0.1, rise=0.3, start_factor=0.04, power=0.9
    )
    optimizer = Sgd(momentum=0.9, nesterov=True, weight_decay=1e-4)
    values = {"epochs": 3, "batch_size": 8, "lr": 0.1, "schedule": schedule, "optimizer": optimizer, **changes}
    return replace(Recipe.from_config(read_group_file("recipe", "sgd")), **values)  # type: ignore[arg-type]


class Fitted:
    """One training of the tiny model, with everything a real one has around it."""

    def __init__(
        self,
        path: Path,
        *,
        model: nn.Module | None = None,
        callbacks: tuple[pl.Callback, ...] = (),
        train: Any = None,
        val: Any = None,
        class_names: tuple[str, ...] = CLASSES,
        hardware: Hardware = HARDWARE,
        printer: Printer | None = None,
        resume: bool = False,
        divergence: StopOnDivergence | None = None,
        **changes: object,
    ) -> None:
        self.folder = RunFolder(path)
        self.recipe = recipe(**changes)
        seed(0)
        self.printer = printer or Printer()
        self.progress = Progress(ProgressDisplay(self.printer, epochs=self.recipe.epochs))
        self.limit = TimeLimit(self.recipe.max_time, self.folder.last_checkpoint)
        self.recorder = Recorder(self.folder, TASKS["classify"], self.progress, time_limit=self.limit)
        every = self.recipe.checkpoint_every
        interval = None if every is None else SaveInterval.parse(every)
        last = self.folder.last_checkpoint
        self.interrupt = Interrupt(last, self.printer.print, every=interval, time_limit=self.limit)
        ema = None if self.recipe.ema is None else vars(self.recipe.ema)
        model = model or TinyModel()
        thawing = freeze_stages(model, self.recipe)
        self.task = build_task(
            TASKS["classify"],
            model,
            class_names=class_names,
            optimizer_fn=lambda net: make_optimizer(
                net, settings=self.recipe.optimizer, lr=self.recipe.lr, thawing=thawing
            ),
            schedule_fn=make_schedule(self.recipe),
            thaw_epoch=self.recipe.thaw_epoch,
            hyper_parameters={"seed": 0, "recipe": {"epochs": self.recipe.epochs, "betas": [0.9, 0.99], "ema": ema}},
            ema=self.recipe.ema,
        )
        with quiet():
            self.trainer = make_trainer(
                hardware=hardware, accelerator="cpu",
                debug=Debug(limit_batches=None, batch_size=None, epochs=None, compare_contents=True),
                recipe=self.recipe, folder=self.folder, info=TASKS["classify"],
                callbacks=[
                    self.progress, divergence or StopOnDivergence(), self.interrupt, self.recorder, self.limit,
                    *callbacks,
                ],
            )  # fmt: skip
        self.train = train or Batches(48)
        self.val = val or Batches(24, start=1)
        self.resume = resume

    def fit(self) -> "Fitted":
        with quiet(), self.interrupt:
            self.trainer.fit(
                self.task,
                train_dataloaders=self.train,
                val_dataloaders=self.val,
                ckpt_path=str(self.folder.last_checkpoint) if self.resume else None,
            )
        return self


__all__ = ["CLASSES", "HARDWARE", "Batches", "EarlyStopping", "Fitted", "TinyModel", "recipe"]
