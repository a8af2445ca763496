"""Export small trained runs of many networks, and write what the comparison of each file with its model has found.

Each network is trained for some batches on the digits that come with visionkit (as single digits, or as scenes),
exported, and compared by the command ``export`` itself: on images of its validation split and on noise.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from visionkit.files import write_atomic

SCENES = ("dataset.image_size=128", "dataset.scenes.train=64", "dataset.scenes.val=24", "dataset.scenes.test=8")
CLASSIFIERS = (
    "lenet", "resnet18", "alexnet", "densenet121", "googlenet", "mobilenet_v3_large", "efficientnet_b0",
    "convnext_tiny",
)  # fmt: skip
FEW_SCENES = ("dataset.image_size=128", "dataset.scenes.train=64", "dataset.scenes.val=12", "dataset.scenes.test=8")
"""Of the heads of two stages, whose full sizes take seconds for an image on a CPU."""
TWO_STAGE = {"detect": ("faster_rcnn_small", "faster_rcnn"), "instance": ("mask_rcnn_small", "mask_rcnn")}
CASES = {
    **{name: (f"backbone={name}", *(() if name == "lenet" else ("dataset.image_size=64",))) for name in CLASSIFIERS},
    "timm resnet10t": ("backbone=timm", "backbone.model=resnet10t", "dataset.image_size=64"),
    "fcos_small": ("task=detect", "backbone=resnet18", "head=fcos_small", *SCENES),
    "fcos": ("task=detect", "backbone=resnet18", "head=fcos", *SCENES),
    "retinanet": ("task=detect", "backbone=resnet18", "head=retinanet", *SCENES),
    **{head: ("task=detect", "backbone=resnet18", f"head={head}", *FEW_SCENES) for head in TWO_STAGE["detect"]},
    **{head: ("task=instance", "backbone=resnet18", f"head={head}", *FEW_SCENES) for head in TWO_STAGE["instance"]},
    "unet_small": ("task=segment", "backbone=resnet18", "head=unet_small", *SCENES),
    "unet": ("task=segment", "backbone=resnet18", "head=unet", *SCENES),
    "deeplabv3": ("task=segment", "backbone=resnet18", "head=deeplabv3", *SCENES),
}
"""The words of the training of each network."""

TRAINING = ("hardware=cpu", "recipe.epochs=2", "debug.limit_batches=12", "recipe.batch_size=16")


def main() -> int:
    """Train, export, and write the figures; the exit code is 1 if a file differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES), help="the networks (all)")
    parser.add_argument("--quick", action="store_true", help="lenet and unet_small alone")
    parser.add_argument("--to", choices=("onnx", "torch_export"), default="onnx", help="the format (onnx)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures into this file")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for case in ("lenet", "unet_small") if options.quick else options.cases:
            rows.append(check(case, Path(folder) / case.replace(" ", "-"), to=options.to))
            print(describe(rows[-1]), flush=True)
            if options.json:
                write_atomic(options.json, json.dumps({"versions": versions(), "networks": rows}, indent=1) + "\n")
    return 0 if all(row["passed"] for row in rows) else 1


def check(case: str, run: Path, *, to: str) -> dict[str, object]:
    """The parity of one network, with the seconds that its export has taken."""
    command(*CASES[case], *TRAINING, f"run_dir={run}")
    begun = time.perf_counter()
    out = command("export", f"run={run}", f"to={to}", "format=json", codes=(0, 1))
    return {"network": case, "seconds": round(time.perf_counter() - begun, 1), **json.loads(out)["parity"]}


def command(*words: str, codes: tuple[int, ...] = (0,)) -> str:
    """The standard output of a command.

    Raises:
        SystemExit: If it ends otherwise.
    """
    done = subprocess.run([sys.executable, "-m", "visionkit", *words], capture_output=True, text=True, check=False)
    if done.returncode not in codes:
        raise SystemExit(f"{' '.join(words)}\n{done.stdout}{done.stderr}")
    return done.stdout


def describe(row: dict[str, object]) -> str:
    """One line of a network."""
    largest = max(dict(row["largest_difference"]).values())  # type: ignore[call-overload]
    return (
        f"{'equal' if row['passed'] else 'DIFFERS':8} {row['network']:20} {row['images']} images, largest difference "
        f"{largest:.1e}, {row['detections']} objects, {row['borderline']} borderline, {row['seconds']} s"
    )


def versions() -> dict[str, str]:
    """Of what makes and runs the files."""
    from importlib.metadata import version

    return {name: version(name) for name in ("torch", "onnx", "onnxscript", "onnxruntime")}


if __name__ == "__main__":
    sys.exit(main())
