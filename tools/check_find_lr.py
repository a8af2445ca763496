"""Compares the rate that `find lr` suggests with the best of a grid of short trainings, on several networks.

Each grid is trained with the recipe of the network and scored on the validation split; rules that the range test could
be read by are compared too. CIFAR-10 comes from --cifar, a tar file of class folders, where it is there, else that
network sees digits. Takes some ten minutes on two cores, with --quick a minute for two short grids.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import tarfile
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

import visionkit as vk
from visionkit.runs.environment import describe_environment

WANTED = 3.0
CIFAR = Path(__file__).parents[2] / "shared" / "data" / "cifar10-jpeg.tar.gz"
SPLITS = {"train": 80, "val": 40, "test": 10}
"""Images of each class."""
SCENES = ("dataset.image_size=64", "dataset.scenes.count=[1,2]", "dataset.scenes.test=8", "dataset.scenes.val=48")


@dataclass(frozen=True)
class Case:
    """A network, its data, and the rates that are tried.

    Attributes:
        name: In the table.
        words: Of the command.
        rates: Ascending, a factor of about three apart.
        score: Higher is better; a loss is negated, where the metric of so short a training is little above chance.
        seeds: Over which scores are averaged.
    """

    name: str
    words: tuple[str, ...]
    rates: tuple[float, ...]
    score: str = "val/accuracy"
    seeds: tuple[int, ...] = (0,)


def make_cases(folder: Path, cifar: Path, *, quick: bool) -> list[Case]:
    """The networks; CIFAR-10 is unpacked into a folder."""
    sgd, adam = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0), (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1)
    lenet = Case("lenet, digits, sgd", ("backbone=lenet", "recipe.epochs=5"), sgd, seeds=(0, 1))
    if quick:
        return [Case("lenet, digits, sgd", ("backbone=lenet", "recipe.epochs=5"), (0.01, 0.03, 0.1, 0.3))]
    small = ("backbone=resnet20", "recipe.epochs=4", "recipe.batch_size=32")
    if cifar.is_file():
        unpack(cifar, folder)
        resnet = Case("resnet20, CIFAR-10, sgd",
                      (*small, "dataset=folder", f"dataset.root={folder}", "dataset.image_size=32"), sgd)  # fmt: skip
    else:
        resnet = Case("resnet20, digits, sgd", small, sgd)
    detect = ("task=detect", *SCENES, "dataset.scenes.train=192", "recipe.epochs=4")
    segment = ("task=segment", "backbone=lenet", "head.channels=[16,16]", *SCENES, "dataset.scenes.train=160",
               "recipe.epochs=4")  # fmt: skip
    return [
        lenet,
        Case("lenet, digits, adamw", ("backbone=lenet", "recipe=adamw", "recipe.epochs=15"), adam, seeds=(0, 1)),
        resnet,
        Case("fcos_small on lenet, scenes, adamw", detect, adam[:-1], score="val/loss"),
        Case("unet_small on lenet, scenes, adamw", segment, adam, score="val/loss"),
    ]


def unpack(archive: Path, folder: Path) -> None:
    """Some images of each class, for training and validation from the training part."""
    counts: Counter[tuple[str, str]] = Counter()
    with tarfile.open(archive) as files:
        for member in files:
            *_, part, name, file = PurePosixPath("x/x", member.name).parts
            if not member.isfile() or part not in ("train", "test"):
                continue
            splits = ("train", "val") if part == "train" else ("test",)
            split = next((split for split in splits if counts[split, name] < SPLITS[split]), None)
            content = files.extractfile(member)
            if split is None or content is None:
                continue
            counts[split, name] += 1
            target = folder / split / name / file
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content.read())


def train(case: Case, rate: float) -> float:
    """The best validation score of short trainings with a rate, averaged over seeds; -inf if one diverges."""
    sign = -1 if case.score.endswith("loss") else 1
    scores = []
    for seed in case.seeds:
        words = (*case.words, f"recipe.lr={rate}", f"seed={seed}", "hardware=cpu")
        with tempfile.TemporaryDirectory() as folder:
            try:
                history = vk.train(*words, progress=False, run_dir=Path(folder, "run")).history
            except vk.UserError:  # it diverged
                return -math.inf
        scores.append(max(sign * row[case.score] for row in history))
    return statistics.mean(scores)


def of_lowest(rates: Sequence[float], smoothed: Sequence[float]) -> float:
    """The rate of the lowest smoothed loss."""
    return rates[int(np.argmin(smoothed))]


def of_tenth(rates: Sequence[float], smoothed: Sequence[float]) -> float:
    """A tenth of it."""
    return of_lowest(rates, smoothed) / 10


def of_steepest(rates: Sequence[float], smoothed: Sequence[float]) -> float:
    """The rate at which the smoothed loss falls fastest over the logarithm of the rate."""
    lowest = int(np.argmin(smoothed))
    return rates[int(np.argmin(np.gradient(smoothed, np.log10(rates))[: lowest + 1]))]


RULES: dict[str, Callable[[Sequence[float], Sequence[float]], float]] = {
    "lowest": of_lowest, "a tenth of lowest": of_tenth, "steepest": of_steepest,
}  # fmt: skip


def check(case: Case) -> dict[str, Any]:
    """The suggestion and the grid of a network."""
    start = time.perf_counter()
    found = vk.find_lr(*case.words, "hardware=cpu", progress=False)
    seconds = time.perf_counter() - start
    scores = {rate: train(case, rate) for rate in case.rates}
    best = max(scores, key=lambda rate: scores[rate])
    others = {name: rule(found.rates, found.smoothed) for name, rule in RULES.items()}
    return {
        "network": case.name,
        "suggestion": float(f"{found.suggestion:.2g}"),
        "best": best,
        "factor": round(factor(found.suggestion, best), 2),
        "holds": factor(found.suggestion, best) <= WANTED,
        "score": case.score,
        "grid": {f"{rate:g}": round(abs(score), 4) if math.isfinite(score) else None for rate, score in scores.items()},
        "seeds": list(case.seeds),
        "other_rules": {
            name: {"rate": float(f"{rate:.2g}"), "factor": round(factor(rate, best), 2)}
            for name, rate in others.items()
        },
        "seconds_of_find_lr": round(seconds, 1),
    }


def factor(rate: float, best: float) -> float:
    """By how much two rates differ, at least 1."""
    return max(rate / best, best / rate)


def main() -> int:
    """Print a table, write the figures, and end with 1 where a suggestion is too far away."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one short grid")
    parser.add_argument(
        "--cifar", type=Path, default=CIFAR, help="a tar file of train/CLASS/*.jpg and test/CLASS/*.jpg"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures into this file")
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for case in make_cases(Path(folder), arguments.cifar, quick=arguments.quick):
            rows.append(check(case))
            print(f"{case.name}: {rows[-1]['suggestion']:g}, best {rows[-1]['best']:g}", file=sys.stderr, flush=True)
    table = Table("network", "score", "best", "find lr", "factor", *RULES, "s")
    for row in rows:
        others = [f"{rule['rate']:g} ({rule['factor']:.1f})" for rule in row["other_rules"].values()]
        best, suggestion = f"{row['best']:g}", f"{row['suggestion']:g}"
        seconds = f"{row['seconds_of_find_lr']:.0f}"
        table.add_row(row["network"], row["score"], best, suggestion, f"{row['factor']:.2f}", *others, seconds)
    Console(width=140).print(table)
    if arguments.json:
        document = {"wanted_factor": WANTED, "rows": rows, "environment": describe_environment()}
        arguments.json.write_text(json.dumps(document, indent=1) + "\n")
    return 0 if all(row["holds"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
