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
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import paired_bench as bench
import torch
import torchvision
from paired_bench import FORMATS, Row, Step
from torch import Tensor, nn

from visionkit.layers import Residual
from visionkit.models import VisionModel, convert_state_dict, create_model

SMALLEST_OF_EACH_FAMILY = [
    "alexnet", "convnext_tiny", "densenet121", "efficientnet_b0", "efficientnet_v2_s", "googlenet", "inception_v3",
    "mnasnet0_5", "mobilenet_v2", "mobilenet_v3_small", "regnet_x_400mf", "regnet_y_400mf", "resnet18",
    "resnext50_32x4d", "shufflenet_v2_x0_5", "squeezenet1_1", "vgg11", "wide_resnet50_2",
]  # fmt: skip
PASSES = ("forward", "forward+backward")


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
        bench.keep_memory()
    rows = []
    for name in options.names:
        for memory_format in options.formats:
            rows += compare(name, memory_format, options)
    report(bench.make_figures(rows, options, without=("json", "names")))


def compare(name: str, memory_format: str, options: argparse.Namespace) -> list[Row]:
    """The figures of one network in one memory format, a row for each pass.

    Raises:
        SystemExit: If the two networks do not give the same logits.
    """
    reference, model = networks(name)
    layout = FORMATS[memory_format]
    for network in (reference, model):
        network.to(memory_format=layout)
    generator = torch.Generator().manual_seed(1)
    shape = (options.batch, 3, options.size, options.size)
    images = torch.randn(shape, generator=generator).contiguous(memory_format=layout)

    def our_logits() -> Tensor:
        logits: Tensor = model.head(model.backbone(images), (options.size, options.size))["logits"]
        return logits

    def reference_logits() -> Tensor:
        logits: Tensor = reference(images)
        return logits

    check_equal(name, our_logits, reference_logits, (model, reference))
    rows = []
    for pass_name in options.passes:
        steps = (make_step(pass_name, model, our_logits), make_step(pass_name, reference, reference_logits))
        costs = bench.time_pair(*steps, rounds=options.rounds, seconds=options.seconds)
        names = {"name": name, "memory_format": memory_format, "pass": pass_name}
        rows.append({**names, **bench.summarize(costs)})
        print(bench.describe_row(rows[-1]), file=sys.stderr, flush=True)
    return rows


def networks(name: str) -> tuple[nn.Module, VisionModel]:
    """Torchvision's network and ours with its weights, without dropout and stochastic depth."""
    torch.manual_seed(0)
    extra = {"aux_logits": False, "init_weights": True} if name in ("googlenet", "inception_v3") else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reference: nn.Module = torchvision.models.get_model(name, weights=None, **extra)
    model = create_model("classify", name, num_classes=1000)
    model.load_state_dict(convert_state_dict(reference.state_dict(), name))
    for module in (*reference.modules(), *model.modules()):
        if isinstance(module, nn.Dropout | torchvision.ops.StochasticDepth):
            module.p = 0.0
        if isinstance(module, Residual):
            module.drop_probability = 0.0
    return reference, model


def check_equal(
    name: str, our_logits: Callable[[], Tensor], reference_logits: Callable[[], Tensor], models: tuple[nn.Module, ...]
) -> None:
    """Exit where the logits differ by more than float32's rounding of reordered sums."""
    for model in models:
        model.eval()
    with torch.no_grad():
        expected = reference_logits()
        distance = (our_logits() - expected).abs().max() / expected.std()
    if not distance < 1e-3:
        sys.exit(f"{name}: the logits differ by {distance:.1e} of their spread; these are not the same networks")


def make_step(pass_name: str, model: nn.Module, logits: Callable[[], Tensor]) -> Step:
    """One pass of a model; sets its mode."""

    def forward() -> None:
        with torch.no_grad():
            logits()

    def forward_and_backward() -> None:
        logits().square().mean().backward()
        for parameter in parameters:
            parameter.grad = None

    parameters = list(model.parameters())
    model.train(pass_name != "forward")
    return forward if pass_name == "forward" else forward_and_backward


def report(figures: dict[str, Any]) -> None:
    """Print the figures for a person."""
    options = figures["options"]
    bench.print_report(
        figures,
        title="ours / torchvision's, medians",
        labels=[
            ("backbone", bench.value("name")),
            ("memory format", bench.value("memory_format")),
            ("pass", bench.value("pass")),
        ],
        numbers=[
            *bench.time_columns("ours", "theirs", kind="cpu"),
            *bench.ratio_columns("wall"),
            *bench.ratio_columns("cpu"),
            ("faults", lambda row: " / ".join(f"{count:,.0f}" for count in row["page_faults"].values())),
        ],
        note=f"{options['batch']} images of {options['size']}x{options['size']}, threads: {options['threads']}, "
        f"memory: {options['memory']}; ms of CPU time; page faults of ours / theirs",
    )


if __name__ == "__main__":
    main()
