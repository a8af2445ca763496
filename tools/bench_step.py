"""The training step of our networks with our defaults, compared with torchvision's network, torch's default optimizer.

Ours is the model as the command trains it: images as uint8, normalised inside, weights and maps in the layout of
conf/hardware/auto.yaml, the optimizer and the fused kernels of conf/recipe/sgd.yaml with its parameter groups. Theirs
is torchvision's network in torch's default layout, `torch.optim.SGD` of all parameters with the same momentum and
decay and no further flag, and images that somebody has normalised already. A step is forward, loss, backward, and the
optimizer's step, in float32 on the CPU, with the same weights at the start. Both lie in one process and take turns
(ours, theirs, theirs, ours make a round); the ratio is the median over rounds of wall time.

The exit code is 1 if a case misses its limit.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paired_bench as bench
import torch
import torchvision
from bench_backbones import networks
from paired_bench import Row, Step
from torch import nn

from visionkit.config_files import read_group_file
from visionkit.models.prepare import prepare_model
from visionkit.settings import Hardware, Recipe
from visionkit.training.optimizers import make_optimizer

CLASSES = 1000


@dataclass(frozen=True)
class Case:
    """A network at a size, and the largest ratio allowed."""

    backbone: str
    size: int
    batch: int
    limit: float

    @property
    def name(self) -> str:
        """Such as ``resnet18@64``."""
        return f"{self.backbone}@{self.size}"


CASES = (
    Case("resnet18", 224, 8, 0.85),
    Case("resnet18", 64, 32, 0.90),
    Case("resnet50", 224, 8, 0.85),
    Case("densenet121", 224, 8, 0.75),
    Case("mobilenet_v3_large", 224, 8, 0.70),
)


def main() -> int:
    """Measure, print a table, and write JSON."""
    names = {case.name: case for case in CASES}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", metavar="NAME", choices=names, default=list(names), help="(all)")
    parser.add_argument("--rounds", type=int, default=7, help="the fewest rounds of each comparison (7)")
    parser.add_argument("--seconds", type=float, default=60, help="go on with rounds for so long (60)")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch (1)")
    parser.add_argument("--memory", choices=("keep", "return"), default="return", help="as bench_backbones.py (return)")
    parser.add_argument("--quick", action="store_true", help="small images, two rounds, no limits: shows that it runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures into this file")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.memory == "keep":
        bench.keep_memory()
    rows: list[Row] = []
    for name in options.cases:
        rows.append(measure(names[name], options))
        figures = bench.make_figures(rows, options, without=("json", "cases"))  # written after each case
    report(figures)
    missed = [row["name"] for row in rows if not row["passed"]]
    if not options.quick:
        print(f"MISSED: {', '.join(missed)}" if missed else "all limits are kept")
    return int(bool(missed))


def measure(case: Case, options: argparse.Namespace) -> Row:
    """The figures of one case."""
    size, batch = (32, 2) if options.quick else (case.size, case.batch)
    rounds, seconds = (2, 0.0) if options.quick else (options.rounds, options.seconds)
    steps = make_steps(case.backbone, size=size, batch=batch)
    row = bench.summarize(bench.time_pair(*steps, rounds=rounds, seconds=seconds))
    passed = options.quick or row["wall"]["ratio"] <= case.limit
    named: Row = {"name": case.name, "size": size, "batch": batch, "limit": case.limit, "passed": passed, **row}
    print(f"{case.name}: {bench.ratio(named, 'wall')} ({bench.quartiles(named, 'wall', ' to ')})", file=sys.stderr)
    return named


def make_steps(name: str, *, size: int, batch: int, channels_last: bool | None = None) -> tuple[Step, Step]:
    """Our training step and theirs, on the same weights and images.

    Args:
        name: The backbone.
        size: Pixels per side.
        batch: Images.
        channels_last: Our layout, if not that of conf/hardware/auto.yaml.
    """
    reference, model = networks(name)
    hardware = Hardware.from_config(
        read_group_file("hardware", "auto") | ({} if channels_last is None else {"channels_last": channels_last})
    )
    prepare_model(model.train(), hardware)
    reference.train()
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (batch, 3, size, size), dtype=torch.uint8, generator=generator)
    labels = torch.randint(0, CLASSES, (batch,), generator=generator)
    normalized = model.normalize(images).contiguous()
    recipe = Recipe.from_config(read_group_file("recipe", "sgd"))
    settings, lr = recipe.optimizer, recipe.lr / 100  # the speed is wanted, and no divergence
    ours = make_optimizer(model, settings=settings, lr=lr)
    theirs = torch.optim.SGD(
        reference.parameters(), lr=lr, momentum=0.9, nesterov=True, weight_decay=settings.weight_decay
    )
    batch_of_ours: dict[str, Any] = {"images": images, "label": labels}

    def our_step() -> None:
        loss = model.loss(model(images), batch_of_ours)["loss"]
        ours.zero_grad()
        loss.backward()
        ours.step()

    def their_step() -> None:
        loss = nn.functional.cross_entropy(reference(normalized), labels)
        theirs.zero_grad()
        loss.backward()
        theirs.step()

    return our_step, their_step


def report(figures: dict[str, Any]) -> None:
    """Print the figures for a person."""
    options = figures["options"]
    bench.print_report(
        figures,
        title=f"training step: ours with our defaults / torchvision {torchvision.__version__} with torch's",
        labels=[("network", bench.value("name")), ("images", lambda row: f"{row['batch']} of {row['size']}")],
        numbers=[
            *bench.time_columns("ours", "theirs"),
            *bench.ratio_columns("wall"),
            *bench.ratio_columns("cpu"),
            ("at most", lambda row: f"{row['limit']:g}"),
            ("", lambda row: "" if options["quick"] else "kept" if row["passed"] else "MISSED"),
        ],
        note=f"threads: {options['threads']}, memory: {options['memory']}; medians of rounds",
    )


if __name__ == "__main__":
    sys.exit(main())
