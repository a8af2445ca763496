"""Time a network eager, as a float ONNX file and as one of 8 bits, at one image, and measure what 8 bits lose.

The network is trained for some batches on the digits that come with visionkit and exported by the command ``export``
itself. Run it on a machine that does nothing else.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

TRAINING = ("hardware=cpu", "recipe.epochs=1", "recipe.batch_size=16")


def main() -> int:
    """Train, export, time, and print one line of a network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbones", nargs="+", default=["resnet18"], help="the networks (resnet18)")
    parser.add_argument("--image-size", type=int, default=224, help="pixels of a side (224)")
    parser.add_argument("--batches", type=int, default=12, help="batches of training (12)")
    parser.add_argument("--words", nargs="*", default=[], help="other words of the training, such as task=segment")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures into this file")
    options = parser.parse_args()
    rows = []
    for backbone in options.backbones:
        words = (f"backbone={backbone}", f"dataset.image_size={options.image_size}", *options.words)
        with tempfile.TemporaryDirectory() as folder:
            rows.append({"backbone": backbone, **measure(words, Path(folder) / "run", batches=options.batches)})
        print(json.dumps(rows[-1]), flush=True)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")
    return 0


def measure(words: tuple[str, ...], run: Path, *, batches: int) -> dict[str, object]:
    """Milliseconds of one image, their ratios to eager, and the metric's loss in points."""
    from visionkit.export.int8 import median_milliseconds
    from visionkit.export.quantization import SCHEMES

    command(*words, *TRAINING, f"debug.limit_batches={batches}", f"run_dir={run}")
    command("export", f"run={run}")
    parity = json.loads(command("export", f"run={run}", "int8=true", "format=json", codes=(0, 1)))["parity"]
    [model_file] = (run / "exports" / "onnx-int8").glob("model.onnx*")
    calls = eager_and_files(run, {"onnx": run / "exports" / "onnx" / "model.onnx", "onnx-int8": model_file})
    times = median_milliseconds(calls)
    return {
        "passed": parity["passed"],
        "chosen": parity["chosen"],
        "milliseconds": {name: round(value, 3) for name, value in times.items()},
        "of_eager": {name: round(value / times["eager"], 3) for name, value in times.items()},
        "points_lost": {x["scheme"]: round(x["points_lost"], 2) for x in parity["files"] if x["scheme"] in SCHEMES},
        "problems": parity["problems"],
    }


def eager_and_files(run: Path, files: dict[str, Path]) -> dict[str, object]:
    """A call of the run's model, and one of each file, on an image of noise."""
    import torch

    import visionkit as vk
    from visionkit.models.onnx_model import OnnxModel

    predictor = vk.load(run, device="cpu")
    data = predictor.data
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (1, data["in_channels"], *data["image_size"]), generator=generator)
    image = image.to(torch.uint8)
    models = {"eager": predictor.inference.model, **{name: OnnxModel(path) for name, path in files.items()}}

    @torch.inference_mode()
    def call(model: object) -> None:
        sizes = None if predictor.task in ("classify", "multilabel") else torch.tensor([data["image_size"]])
        model.predict(model(image, sizes), sizes)  # type: ignore[attr-defined, operator]

    return {name: partial(call, model) for name, model in models.items()}


def command(*words: str, codes: tuple[int, ...] = (0,)) -> str:
    """The standard output of a command.

    Raises:
        SystemExit: If it ends otherwise.
    """
    done = subprocess.run([sys.executable, "-m", "visionkit", *words], capture_output=True, text=True, check=False)
    if done.returncode not in codes:
        raise SystemExit(f"{' '.join(words)}\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
