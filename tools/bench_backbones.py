"""The speed of each family's smallest member compared with torchvision's: same weights, images, threads, layout.

Both networks lie in one process and take turns (ours, theirs, theirs, ours make a round), in float32: forward in
evaluation mode without gradients, and forward with backward in training mode, dropout and stochastic depth being
off on both sides. Ours is backbone and head; the preprocessing that torchvision's models lack is left out.

The ratio is the median over rounds, of wall time and of the process's own CPU time, which other work on the machine
disturbs less; beside it stand its quartiles.

glibc returns freed maps to the system and then pays for them anew, page by page, up to a third of a forward pass;
how often depends on where blocks happen to lie, and so changes from process to process. --memory keep lets freed
memory stay with the process, --memory return leaves all as it is; the page faults of a pass are printed.
"""

import argparse
import ctypes
import gc
import json
import platform
import resource
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torchvision
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from visionkit.layers import Residual
from visionkit.models import VisionModel, convert_state_dict, create_model
from visionkit.runs.environment import describe_environment

SMALLEST_OF_EACH_FAMILY = [
    "alexnet", "convnext_tiny", "densenet121", "efficientnet_b0", "efficientnet_v2_s", "googlenet", "inception_v3",
    "mnasnet0_5", "mobilenet_v2", "mobilenet_v3_small", "regnet_x_400mf", "regnet_y_400mf", "resnet18",
    "resnext50_32x4d", "shufflenet_v2_x0_5", "squeezenet1_1", "vgg11", "wide_resnet50_2",
]  # fmt: skip
FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
PASSES = ("forward", "forward+backward")

Step = Callable[[], None]
Cost = tuple[float, float, float]
"""Of one pass: seconds of wall time, seconds of the process's CPU time, page faults."""


def main() -> None:
    """Measure, print a table, and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", nargs="+", metavar="NAME", default=SMALLEST_OF_EACH_FAMILY, help="backbones (18)")
    parser.add_argument("--rounds", type=int, default=7, help="the fewest rounds of each comparison (7)")
    parser.add_argument("--seconds", type=float, default=10, help="go on with rounds for so long (10)")
    parser.add_argument("--batch", type=int, default=8, help="images per batch (8)")
    parser.add_argument("--size", type=int, default=128, help="pixels per side (128)")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch (1)")
    parser.add_argument("--memory", choices=("keep", "return"), default="keep", help="what is freed: see above (keep)")
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=list(FORMATS), help="memory formats (both)")
    parser.add_argument("--passes", nargs="+", choices=PASSES, default=list(PASSES), help="what is timed (both)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures into this file")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.memory == "keep":
        keep_memory()
    rows = []
    for name in options.names:
        for memory_format in options.formats:
            rows += compare(name, memory_format, options)
    figures = {
        "rows": rows,
        "options": {key: value for key, value in vars(options).items() if key not in ("json", "names")},
        "environment": describe_environment(),
    }
    if options.json is not None:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    report(figures)


def keep_memory() -> None:
    """Have glibc use its heap for maps of any size, and never trim it (mallopt(3))."""
    if platform.libc_ver()[0] != "glibc":
        sys.exit("--memory keep needs glibc. Use --memory return.")
    trim_threshold, mmap_max = -1, -4
    libc = ctypes.CDLL(None)
    libc.mallopt(mmap_max, 0)
    libc.mallopt(trim_threshold, -1)


def compare(name: str, memory_format: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """The figures of one network in one memory format, a row for each pass.

    Raises:
        SystemExit: If the two networks do not give the same logits.
    """
    theirs, ours = networks(name)
    layout = FORMATS[memory_format]
    for model in (theirs, ours):
        model.to(memory_format=layout)
    generator = torch.Generator().manual_seed(1)
    shape = (options.batch, 3, options.size, options.size)
    images = torch.randn(shape, generator=generator).contiguous(memory_format=layout)

    def our_logits() -> Tensor:
        logits: Tensor = ours.head(ours.backbone(images), (options.size, options.size))["logits"]
        return logits

    check_equal(name, our_logits, lambda: theirs(images), (ours, theirs))
    rows = []
    for timed in options.passes:
        pair = [
            make_step(timed, model, logits) for model, logits in ((ours, our_logits), (theirs, lambda: theirs(images)))
        ]
        rounds = take_turns(*pair, rounds=options.rounds, seconds=options.seconds)
        rows.append({"name": name, "memory_format": memory_format, "pass": timed, **summary(rounds)})
        print(describe(rows[-1]), file=sys.stderr, flush=True)
    return rows


def networks(name: str) -> tuple[nn.Module, VisionModel]:
    """Torchvision's network and ours with its weights, nothing in them left to chance."""
    torch.manual_seed(0)
    extra = {"aux_logits": False, "init_weights": True} if name in ("googlenet", "inception_v3") else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs: nn.Module = torchvision.models.get_model(name, weights=None, **extra)
    ours = create_model("classify", name, num_classes=1000)
    ours.load_state_dict(convert_state_dict(theirs.state_dict(), name))
    for module in (*theirs.modules(), *ours.modules()):
        if isinstance(module, nn.Dropout | torchvision.ops.StochasticDepth):
            module.p = 0.0
        if isinstance(module, Residual):
            module.drop_probability = 0.0
    return theirs, ours


def check_equal(
    name: str, ours: Callable[[], Tensor], theirs: Callable[[], Tensor], models: tuple[nn.Module, ...]
) -> None:
    """Stop where the work is not the same; float32 allows for reordered sums."""
    for model in models:
        model.eval()
    with torch.no_grad():
        expected = theirs()
        distance = (ours() - expected).abs().max() / expected.std()
    if not distance < 1e-3:
        sys.exit(f"{name}: the logits differ by {distance:.1e} of their spread; these are not the same networks")


def make_step(timed: str, model: nn.Module, logits: Callable[[], Tensor]) -> Step:
    """What one side does in its turn."""

    def forward() -> None:
        with torch.no_grad():
            logits()

    def forward_and_backward() -> None:
        logits().square().mean().backward()
        for parameter in parameters:
            parameter.grad = None

    parameters = list(model.parameters())
    model.train(timed != "forward")
    return forward if timed == "forward" else forward_and_backward


def take_turns(ours: Step, theirs: Step, *, rounds: int, seconds: float) -> list[tuple[Cost, Cost]]:
    """What a pass of ours and of theirs costs in every round, the mean of two each."""
    for step in (ours, theirs, theirs, ours):
        step()
    taken: list[tuple[Cost, Cost]] = []
    gc.collect()
    gc.disable()
    began = time.perf_counter()
    while len(taken) < rounds or time.perf_counter() - began < seconds:
        first, second, third, fourth = (cost(step) for step in (ours, theirs, theirs, ours))
        taken.append((mean(first, fourth), mean(second, third)))
    gc.enable()
    return taken


def cost(step: Step) -> Cost:
    """Of one pass."""
    before = spent()
    step()
    wall, cpu, faults = (now - then for now, then in zip(spent(), before, strict=True))
    return wall, cpu, faults


def spent() -> Cost:
    """By this process until now."""
    return time.perf_counter(), time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def mean(one: Cost, other: Cost) -> Cost:
    """Of two passes."""
    wall, cpu, faults = ((a + b) / 2 for a, b in zip(one, other, strict=True))
    return wall, cpu, faults


def summary(rounds: list[tuple[Cost, Cost]]) -> dict[str, Any]:
    """Medians over rounds."""
    sides = {"ours": [ours for ours, _ in rounds], "theirs": [theirs for _, theirs in rounds]}
    found: dict[str, Any] = {"rounds": len(rounds)}
    for index, kind in enumerate(("wall", "cpu")):
        ratios = [ours[index] / theirs[index] for ours, theirs in rounds]
        low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
        found[kind] = {"ratio": round(middle, 4), "quartiles": [round(low, 4), round(high, 4)]}
        for side, costs in sides.items():
            found[kind][f"{side}_ms"] = round(1e3 * statistics.median(c[index] for c in costs), 3)
    found["page_faults"] = {side: statistics.median(c[2] for c in costs) for side, costs in sides.items()}
    return found


def describe(row: dict[str, Any]) -> str:
    """One row in one line."""
    ratios = ", ".join(
        f"{kind} {row[kind]['ratio']:.3f} ({row[kind]['quartiles'][0]:.3f} to {row[kind]['quartiles'][1]:.3f})"
        for kind in ("wall", "cpu")
    )
    return f"{row['name']} {row['memory_format']} {row['pass']}: {ratios}, {row['rounds']} rounds"


def report(figures: dict[str, Any]) -> None:
    """Print the figures for a person."""
    options, environment = figures["options"], figures["environment"]
    table = Table(title="ours / torchvision's, medians", title_justify="left")
    for heading in ("backbone", "memory format", "pass"):
        table.add_column(heading, no_wrap=True)
    for heading in ("ours", "theirs", "wall ratio", "quartiles", "CPU ratio", "quartiles", "faults"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in figures["rows"]:
        cells = [row["name"], row["memory_format"], row["pass"]]
        cells += [f"{row['cpu'][side]:.1f} ms" for side in ("ours_ms", "theirs_ms")]
        for kind in ("wall", "cpu"):
            low, high = row[kind]["quartiles"]
            cells += [f"{row[kind]['ratio']:.3f}", f"{low:.3f} {high:.3f}"]
        table.add_row(*cells, " / ".join(f"{number:,.0f}" for number in row["page_faults"].values()))
    console = Console(highlight=False, width=150)
    console.print(table)
    console.print(
        f"{options['batch']} images of {options['size']}x{options['size']}, threads: {options['threads']}, "
        f"memory: {options['memory']}; ms of CPU time; page faults of ours / theirs"
    )
    console.print(", ".join(f"{name} {number}" for name, number in environment["versions"].items()))
    console.print(f"{environment['cpu']}, {environment['cpu_cores']} cores")


if __name__ == "__main__":
    main()
