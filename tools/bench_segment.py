"""The speed of our segmentation models beside other libraries': same backbone, widths, images, threads.

FCN and DeepLabv3 stand beside torchvision's, whose weights they get; U-Net and DeepLabv3+ beside those of
segmentation_models_pytorch, which must have as many parameters, and are left out where that is not installed.

Both networks lie in one process and take turns (ours, theirs, theirs, ours make a round), in float32: inference in
evaluation mode without gradients, and a training step: forward, cross-entropy with ignored pixels, backward, SGD.
Ours is backbone and head; the preprocessing that the others lack is left out. The ratio is the median over rounds, of
wall time and of the process's own CPU time, which other work on the machine disturbs less.

Last, what scoring a batch costs beside our own training step on it: the likeliest class of each pixel, and their
counting.
"""

import argparse
import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from bench_backbones import Step, describe, keep_memory, summary, take_turns
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.nn import functional as F

from visionkit.metrics.segmentation import SegmentationMetrics
from visionkit.models import VisionModel, convert_state_dict, create_model
from visionkit.runs.environment import describe_environment
from visionkit.structures.masks import restore_masks

CLASSES = 12
CASES = {
    "fcn": ("torchvision", "resnet50"),
    "deeplabv3": ("torchvision", "resnet50"),
    "unet": ("segmentation_models_pytorch", "resnet18"),
    "deeplabv3plus": ("segmentation_models_pytorch", "resnet18"),
}
PASSES = ("inference", "training step")


def main() -> None:
    """Measure, print a table, and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--heads", nargs="+", choices=CASES, default=list(CASES), help="what is compared (all)")
    parser.add_argument("--rounds", type=int, default=7, help="the fewest rounds of each comparison (7)")
    parser.add_argument("--seconds", type=float, default=10, help="go on with rounds for so long (10)")
    parser.add_argument("--batch", type=int, default=4, help="images per batch (4)")
    parser.add_argument("--size", type=int, default=128, help="pixels per side, a multiple of 32 (128)")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch (1)")
    parser.add_argument("--device", default="cpu", help="where both run, such as cuda (cpu)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures into this file")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.device == "cpu":
        keep_memory()
    rows = []
    for head in options.heads:
        library, backbone = CASES[head]
        if find_spec(library) is None:
            print(f"{head} is left out: {library} is not installed", file=sys.stderr)
            continue
        rows += compare(head, backbone, options)
    figures = {
        "rows": rows,
        "options": {key: value for key, value in vars(options).items() if key not in ("json", "heads")},
        "environment": describe_environment(),
    }
    if options.json is not None:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    report(figures)


def compare(head: str, backbone: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """The figures of one model, a row for each pass.

    Raises:
        SystemExit: If the two are not of the same work.
    """
    theirs, ours = (model.to(options.device) for model in networks(head, backbone))
    generator = torch.Generator().manual_seed(1)
    size = (options.size, options.size)
    images = torch.randn(options.batch, 3, *size, generator=generator).to(options.device)
    mask = torch.randint(0, CLASSES, (options.batch, *size), generator=generator, dtype=torch.uint8).to(options.device)
    mask[:, :9] = 255

    def our_outputs() -> dict[str, Tensor]:
        outputs: dict[str, Tensor] = ours.head(ours.backbone(images), size)
        return outputs

    def their_logits() -> Tensor:
        outputs = theirs(images)
        logits: Tensor = outputs["out"] if isinstance(outputs, dict) else outputs
        return logits

    check_alike(head, ours, theirs, our_outputs, their_logits)
    losses = (
        lambda: ours.loss(our_outputs(), {"mask": mask})["cross_entropy"],
        lambda: F.cross_entropy(their_logits(), mask.long(), ignore_index=255),
    )
    steps = {
        "inference": (inference(ours, our_outputs), inference(theirs, their_logits)),
        "training step": (training_step(ours, losses[0]), training_step(theirs, losses[1])),
    }
    rows = []
    for timed in PASSES:
        for model in (ours, theirs):
            model.train(timed == "training step")
        rounds = take_turns(*(synchronised(step, options.device) for step in steps[timed]),
                            rounds=options.rounds, seconds=options.seconds)  # fmt: skip
        rows.append(row_of(f"{head} {backbone}", timed, CASES[head][0], rounds))
    rounds = take_turns(
        synchronised(scoring(our_outputs()["logits"].detach(), mask), options.device),
        synchronised(steps["training step"][0], options.device),
        rounds=options.rounds,
        seconds=options.seconds,
    )
    rows.append(row_of(f"{head} {backbone}", "metric update", "our training step", rounds))
    return rows


def row_of(name: str, timed: str, beside: str, rounds: list[Any]) -> dict[str, Any]:
    """A row of the table, printed at once."""
    row = {"name": name, "memory_format": "contiguous", "pass": timed, "beside": beside, **summary(rounds)}
    print(describe(row), file=sys.stderr, flush=True)
    return row


def networks(head: str, backbone: str) -> tuple[nn.Module, VisionModel]:
    """The other library's model and ours, nothing in them left to chance."""
    torch.manual_seed(0)
    theirs: Any
    if CASES[head][0] == "torchvision":
        from torchvision.models import get_model

        theirs = get_model(f"{head}_{backbone}", weights=None, weights_backbone=None, num_classes=CLASSES)
    else:
        import segmentation_models_pytorch as smp

        make = {"unet": smp.Unet, "deeplabv3plus": smp.DeepLabV3Plus}[head]
        rates = {"decoder_atrous_rates": (6, 12, 18)} if head == "deeplabv3plus" else {}
        theirs = make(backbone, encoder_weights=None, classes=CLASSES, **rates)
    ours = create_model("segment", backbone, num_classes=CLASSES, head=head)
    if CASES[head][0] == "torchvision":
        ours.load_state_dict(convert_state_dict(theirs.state_dict(), backbone, task="segment", head=head))
    for module in (*theirs.modules(), *ours.modules()):
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return theirs, ours


def check_alike(head: str, ours: VisionModel, theirs: nn.Module, our_outputs: Any, their_logits: Any) -> None:
    """Stop where the work is not the same: other logits with the same weights, or another number of parameters."""
    counts = [sum(p.numel() for p in model.parameters()) for model in (ours, theirs)]
    if counts[0] != counts[1]:
        sys.exit(f"{head}: ours has {counts[0]} parameters, the other {counts[1]}; these are not the same networks")
    if CASES[head][0] != "torchvision":
        return
    ours.eval(), theirs.eval()
    with torch.no_grad():
        expected = their_logits()
        distance = (our_outputs()["logits"] - expected).abs().max() / expected.std()
    if not distance < 1e-3:
        sys.exit(f"{head}: the logits differ by {distance:.1e} of their spread; these are not the same networks")


def inference(model: nn.Module, outputs: Any) -> Step:
    """A forward pass without gradients."""

    def step() -> None:
        with torch.no_grad():
            outputs()

    return step


def training_step(model: nn.Module, loss: Any) -> Step:
    """Forward, loss, backward, and a small step."""
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9)

    def step() -> None:
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()

    return step


def scoring(logits: Tensor, mask: Tensor) -> Step:
    """What the task does with the outputs of a batch that is scored."""
    metrics = SegmentationMetrics([str(number) for number in range(CLASSES)]).to(logits.device)
    sizes = torch.tensor([mask.shape[1:]] * len(mask), device=logits.device)

    def step() -> None:
        metrics.update(restore_masks(logits, sizes, sizes), mask)

    return step


def synchronised(step: Step, device: str) -> Step:
    """The step, and on an accelerator the wait for its end."""
    if device == "cpu":
        return step

    def wait() -> None:
        step()
        torch.accelerator.synchronize()

    return wait


def report(figures: dict[str, Any]) -> None:
    """Print the figures for a person."""
    options, environment = figures["options"], figures["environment"]
    table = Table(title="ours / what stands beside it, medians", title_justify="left")
    for heading in ("model", "beside", "pass"):
        table.add_column(heading, no_wrap=True)
    for heading in ("ours", "theirs", "wall ratio", "quartiles", "CPU ratio", "quartiles"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in figures["rows"]:
        cells = [row["name"], row["beside"], row["pass"]]
        cells += [f"{row['wall'][side]:.1f} ms" for side in ("ours_ms", "theirs_ms")]
        for kind in ("wall", "cpu"):
            low, high = row[kind]["quartiles"]
            cells += [f"{row[kind]['ratio']:.3f}", f"{low:.3f} {high:.3f}"]
        table.add_row(*cells)
    console = Console(highlight=False, width=150)
    console.print(table)
    console.print(
        f"{options['batch']} images of {options['size']}x{options['size']} on {options['device']}, "
        f"threads: {options['threads']}"
    )
    console.print(", ".join(f"{name} {number}" for name, number in environment["versions"].items()))
    console.print(f"{environment['cpu']}, {environment['cpu_cores']} cores")


if __name__ == "__main__":
    main()
