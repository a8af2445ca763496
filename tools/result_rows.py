"""The rows of the table of results, what is wanted of each, and whether records reach it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

Record = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row of the table.

    Attributes:
        what: For a reader.
        data: The data set; None for one that the package holds.
        words: Those of the command; ``seed`` and ``run_dir`` are added.
        wanted: Metrics of the test split to the smallest value wanted, 0 to 1, or, with ``beats``, to the smallest
            difference; 0 where none is wanted.
        seeds: Of the runs, unless others are typed.
        beats: The row that this one is compared with.
        minutes: Of training that it may take on quiet cores, if there is a limit.
        teacher: Words of the run that is trained before it, in the folder ``teacher``, of the same seed; None without.
    """

    what: str
    data: str | None = None
    words: str
    wanted: dict[str, float]
    seeds: tuple[int, ...] = (0, 1, 2)
    beats: str | None = None
    minutes: float | None = None
    teacher: str | None = None


CIFAR = (
    "dataset=folder dataset.root=data/cifar10 dataset.image_size=32 dataset.val_fraction=0.1 hardware.precision=bf16"
)
CROP = "dataset.augment.random_crop.padding=4"
CIFAR_10_EPOCHS = f"experiment=cifar10_resnet20 {CIFAR}"
CIFAR_20_MINUTES = (
    f"task=classify backbone=airbench94 {CIFAR} {CROP} recipe=speedrun recipe.epochs=11 head.label_smoothing=0.1 "
    "recipe.max_time=20m"
)
MNIST = "experiment=mnist_lenet dataset.root=data/mnist"
BCCD = "experiment=bccd_resnet18 dataset.root=data/bccd"
CAMVID = "experiment=camvid_resnet18 dataset.root=data/camvid"
EMA = "recipe.ema={decay:0.9998,warmup:true}"
EMA_SHORT = "recipe.ema={decay:0.999,warmup:true}"
DIGITS_100 = "task=classify backbone=lenet dataset=digits dataset.val_fraction=0.445 dataset.test_fraction=0.499"
SCENES_150 = "task=detect dataset=digits dataset.scenes.train=150 dataset.scenes.val=50 dataset.scenes.test=200"

ROWS = {
    "cifar10-resnet20": Row(
        what="CIFAR-10 (JPEG), ResNet-20, 10 epochs: the experiment as it is",
        data="cifar10", words=CIFAR_10_EPOCHS, wanted={"accuracy": 0.0}, seeds=(0,),
    ),
    "cifar10-resnet20-tuned": Row(
        what="the same, tuned",
        data="cifar10", words=f"{CIFAR_10_EPOCHS} recipe.schedule.type=one_cycle recipe.lr=0.4",
        wanted={"accuracy": 0.86}, seeds=(0,), minutes=6,
    ),
    "cifar10-20-minutes": Row(
        what="CIFAR-10 (JPEG), the best recipe and network of ours in 20 minutes",
        data="cifar10", words=CIFAR_20_MINUTES,
        wanted={"accuracy": 0.90}, seeds=(0,), minutes=20,
    ),
    "mnist-lenet": Row(
        what="MNIST, LeNet, 12 epochs: the experiment as it is",
        data="mnist", words=MNIST, wanted={"accuracy": 0.0},
    ),
    "mnist-lenet-tuned": Row(
        what="the same, tuned",
        data="mnist", words=f"{MNIST} recipe.schedule.type=one_cycle recipe.lr=0.1",
        wanted={"accuracy": 0.9955},
    ),
    "mnist-lenet-taught": Row(
        what="the same, with a ResNet-20 as teacher",
        data="mnist",
        words=f"{MNIST} recipe.batch_size=32 recipe.schedule.type=one_cycle recipe.lr=0.1 {EMA_SHORT} "
        "recipe.teacher={run:teacher,temperature:4.0,weight:0.7}",
        teacher="task=classify backbone=resnet20 dataset=mnist dataset.root=data/mnist recipe.epochs=4 "
        "recipe.batch_size=64 recipe.schedule.type=one_cycle recipe.lr=0.2 hardware.precision=bf16 "
        "dataset.augment.affine={degrees:10,translate:[0.08,0.08],scale:[0.9,1.1],shear:5}",
        wanted={"accuracy": 0.9955},
    ),
    "bccd-resnet18": Row(
        what="BCCD, ResNet-18 and FCOS from scratch: the experiment as it is (258 s on quiet cores)",
        data="bccd", words=BCCD, wanted={"map": 0.0, "map_50": 0.0},
        minutes=4.3,
    ),
    "bccd-resnet18-tuned": Row(
        what="the same, tuned, in the same time",
        data="bccd",
        words=f"{BCCD} hardware.precision=bf16 recipe.epochs=24 recipe.ema={{decay:0.998,warmup:true}} "
        "dataset.augment={mosaic:{p:0.5,off_last:0.25},horizontal_flip:{p:0.5},vertical_flip:{p:0.5},"
        "scale_jitter:{scale_range:[0.8,1.25]},color_jitter:{brightness:0.2,contrast:0.2,saturation:0.2}}",
        wanted={"map": 0.58, "map_50": 0.89}, minutes=4.3,
    ),
    "camvid-resnet18": Row(
        what="CamVid, ResNet-18 and U-Net from scratch, 20 minutes: the experiment as it is",
        data="camvid", words=CAMVID, wanted={"mean_iou": 0.0},
        seeds=(0,), minutes=20,
    ),
    "camvid-resnet18-tuned": Row(
        what="the same, tuned, in the same time",
        data="camvid",
        words=f"{CAMVID} {EMA_SHORT} hardware.precision=bf16 recipe.epochs=50 recipe.max_time=20m "
        "dataset.augment={horizontal_flip:{p:0.5},scale_jitter:{scale_range:[0.5,2.0]},photometric_distort:{}}",
        wanted={"mean_iou": 0.46}, seeds=(0,), minutes=20,
    ),
    "digits-100": Row(
        what="100 training images of digits, LeNet: the default",
        words=DIGITS_100, wanted={"accuracy": 0.0},
    ),
    "digits-100-small": Row(
        what="the same, recipe=small",
        words=f"{DIGITS_100} recipe=small", wanted={"accuracy": 0.03}, beats="digits-100",
    ),
    "scenes-150": Row(
        what="150 training scenes with boxes: the default",
        words=SCENES_150, wanted={"map": 0.0}, seeds=(0,), minutes=20,
    ),
    "scenes-150-small": Row(
        what="the same, recipe=small, in 20 minutes",
        words=f"{SCENES_150} recipe=small recipe.max_time=20m", wanted={"map": 0.0}, seeds=(0,), beats="scenes-150",
        minutes=20,
    ),
}  # fmt: skip
"""The words of every row; those with ``-tuned`` and ``-small`` are what is tuned, on validation."""


def newest(records: Sequence[Record], row: str) -> list[Record]:
    """The newest record of each seed, of the words that were measured last."""
    own = [record for record in records if record["row"] == row]
    if not own:
        return []
    words = _without_seed(own[-1]["command"])
    last = {record["seed"]: record for record in own if _without_seed(record["command"]) == words}
    return [last[seed] for seed in sorted(last)]


def _without_seed(command: str) -> str:
    return re.sub(r" seed=\d+$", "", command)


def verdict(row: Row, records: Sequence[Record]) -> tuple[str, bool | None]:
    """What is wanted of a row, and whether the means over its seeds reach it; None where that is not known."""
    own = newest(records, next(name for name, other in ROWS.items() if other is row))
    base = newest(records, row.beats) if row.beats else []
    wanted = {name: value for name, value in row.wanted.items() if value or row.beats}
    if not wanted:
        return "", None
    if row.beats:
        text = ", ".join(f"{name} {f'{100 * value:g} points ' if value else ''}above" for name, value in wanted.items())
        text += f" {row.beats}"
    else:
        text = ", ".join(f"{name} >= {value:.2%}" for name, value in wanted.items())
    if not own or (row.beats and not base):
        return text, None
    reached = []
    for name, value in wanted.items():
        score = mean(record["test"][name] for record in own)
        start = mean(record["test"][name] for record in base) if base else 0.0
        reached.append(score - start >= value if value else score > start)
    return text, all(reached)
