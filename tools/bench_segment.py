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
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import paired_bench as bench
import torch
from paired_bench import Row, Step
from torch import Tensor, nn
from torch.nn import functional as F

from visionkit.metrics.segmentation import SegmentationMetrics
from visionkit.models import VisionModel, convert_state_dict, create_model
from visionkit.structures.masks import restore_masks

NUM_CLASSES = 12
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
        bench.keep_memory()
    rows = []
    for head in options.heads:
        library, backbone = CASES[head]
        if find_spec(library) is None:
            print(f"{head} is left out: {library} is not installed", file=sys.stderr)
            continue
        rows += compare(head, backbone, options)
    report(bench.make_figures(rows, options, without=("json", "heads")))


def compare(head: str, backbone: str, options: argparse.Namespace) -> list[Row]:
    """The figures of one model, a row for each pass.

    Raises:
        SystemExit: If the two models are not equal.
    """
    reference, model = (network.to(options.device) for network in networks(head, backbone))
    generator = torch.Generator().manual_seed(1)
    size = (options.size, options.size)
    images = torch.randn(options.batch, 3, *size, generator=generator).to(options.device)
    mask = torch.randint(0, NUM_CLASSES, (options.batch, *size), generator=generator, dtype=torch.uint8).to(
        options.device
    )
    mask[:, :9] = 255

    def our_outputs() -> dict[str, Tensor]:
        outputs: dict[str, Tensor] = model.head(model.backbone(images), size)
        return outputs

    def reference_logits() -> Tensor:
        outputs = reference(images)
        logits: Tensor = outputs["out"] if isinstance(outputs, dict) else outputs
        return logits

    check_equal(head, model, reference, our_outputs, reference_logits)
    losses = (
        lambda: model.loss(our_outputs(), {"mask": mask})["cross_entropy"],
        lambda: F.cross_entropy(reference_logits(), mask.long(), ignore_index=255),
    )
    steps = {
        "inference": (inference(our_outputs), inference(reference_logits)),
        "training step": (training_step(model, losses[0]), training_step(reference, losses[1])),
    }
    rows = []
    name = f"{head} {backbone}"
    for pass_name in PASSES:
        for network in (model, reference):
            network.train(pass_name == "training step")
        rows.append(make_row(name, pass_name, CASES[head][0], *steps[pass_name], options))
    scoring = metric_update(our_outputs()["logits"].detach(), mask)
    rows.append(make_row(name, "metric update", "our training step", scoring, steps["training step"][0], options))
    return rows


def make_row(name: str, pass_name: str, beside: str, ours: Step, theirs: Step, options: argparse.Namespace) -> Row:
    """Time two steps; the row of the table is printed at once."""
    steps = (synchronized(step, options.device) for step in (ours, theirs))
    costs = bench.time_pair(*steps, rounds=options.rounds, seconds=options.seconds)
    names = {"name": name, "memory_format": "contiguous", "pass": pass_name, "beside": beside}
    row = {**names, **bench.summarize(costs)}
    print(bench.describe_row(row), file=sys.stderr, flush=True)
    return row


def networks(head: str, backbone: str) -> tuple[nn.Module, VisionModel]:
    """The other library's model and ours, without dropout."""
    torch.manual_seed(0)
    reference: Any
    if CASES[head][0] == "torchvision":
        from torchvision.models import get_model

        reference = get_model(f"{head}_{backbone}", weights=None, weights_backbone=None, num_classes=NUM_CLASSES)
    else:
        import segmentation_models_pytorch as smp

        model_class = {"unet": smp.Unet, "deeplabv3plus": smp.DeepLabV3Plus}[head]
        rates = {"decoder_atrous_rates": (6, 12, 18)} if head == "deeplabv3plus" else {}
        reference = model_class(backbone, encoder_weights=None, classes=NUM_CLASSES, **rates)
    model = create_model("segment", backbone, num_classes=NUM_CLASSES, head=head)
    if CASES[head][0] == "torchvision":
        model.load_state_dict(convert_state_dict(reference.state_dict(), backbone, task="segment", head=head))
    for module in (*reference.modules(), *model.modules()):
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return reference, model


def check_equal(head: str, model: VisionModel, reference: nn.Module, our_outputs: Any, reference_logits: Any) -> None:
    """Exit where the networks differ in the number of parameters, or in logits with the same weights."""
    counts = [sum(p.numel() for p in network.parameters()) for network in (model, reference)]
    if counts[0] != counts[1]:
        sys.exit(f"{head}: ours has {counts[0]} parameters, the other {counts[1]}; these are not the same networks")
    if CASES[head][0] != "torchvision":
        return
    model.eval(), reference.eval()
    with torch.no_grad():
        expected = reference_logits()
        distance = (our_outputs()["logits"] - expected).abs().max() / expected.std()
    if not distance < 1e-3:
        sys.exit(f"{head}: the logits differ by {distance:.1e} of their spread; these are not the same networks")


def inference(forward: Step) -> Step:
    """A forward pass without gradients."""

    def step() -> None:
        with torch.no_grad():
            forward()

    return step


def training_step(model: nn.Module, loss: Any) -> Step:
    """Forward, loss, backward, and a small step."""
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9)

    def step() -> None:
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()

    return step


def metric_update(logits: Tensor, mask: Tensor) -> Step:
    """The update of the task's metrics by a batch."""
    metrics = SegmentationMetrics([str(index) for index in range(NUM_CLASSES)]).to(logits.device)
    sizes = torch.tensor([mask.shape[1:]] * len(mask), device=logits.device)

    def step() -> None:
        metrics.update(restore_masks(logits, sizes, sizes), mask)

    return step


def synchronized(step: Step, device: str) -> Step:
    """A step that waits for the accelerator at its end."""
    if device == "cpu":
        return step

    def run() -> None:
        step()
        torch.accelerator.synchronize()

    return run


def report(figures: dict[str, Any]) -> None:
    """Print the figures for a person."""
    options = figures["options"]
    bench.print_report(
        figures,
        title="ours / what stands beside it, medians",
        labels=[("model", bench.value("name")), ("beside", bench.value("beside")), ("pass", bench.value("pass"))],
        numbers=[*bench.time_columns("ours", "theirs"), *bench.ratio_columns("wall"), *bench.ratio_columns("cpu")],
        note=f"{options['batch']} images of {options['size']}x{options['size']} on {options['device']}, "
        f"threads: {options['threads']}",
    )


if __name__ == "__main__":
    main()
