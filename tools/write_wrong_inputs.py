"""Write ``docs/wrong_inputs.md``: what people type wrong, and the answer that each gets.

python tools/write_wrong_inputs.py            # writes the page
python tools/write_wrong_inputs.py --check    # says which answers differ; exit code 1 if one does
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import shlex
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from visionkit.cli.main import main as visionkit

PAGE = Path(__file__).parents[1] / "docs" / "wrong_inputs.md"
HOME = "/home/you/project"
"""What the page says for the folder in which the commands are typed."""

INPUTS: Mapping[str, Sequence[str]] = {
    "Verbs and flags": (
        "trian",
        "fit",
        "val",
        "help",
        "convert",
        "deploy",
        "check dataset=folder",
        "check dataset=folder dataset.root=nowhere",
        "check dataset=digits deep=perhaps",
        "resnet18",
        "seed=1 inspect",
        "--epochs 5",
        "--backbone lenet",
        "--verbose",
        "evaluate recipe.epochs=3 run=latest",
        "find size",
        "find batch steps=100",
        "lr_find",
    ),
    "Words of other tools": (
        "model=resnet18",
        "model=yolov8n.pt",
        "data=photos",
        "data=coco128.yaml",
        "epochs=5",
        "batch=16",
        "imgsz=640",
        "lr0=0.01",
        "device=0",
        "pretrained=true",
        "task=classification",
        "task=detection",
        "trainer.max_epochs=10",
        "num_classes=10",
        "loss=focal",
        "ckpt=model.ckpt",
        "size=224",
        "gpu=0",
        "warmup=5",
        "lr=0,1",
        "epochs=1e3",
        "imgsz=640,480",
        "image_size=-1",
        "mosaic=1",
        "mixup=0.2",
        "close_mosaic=10",
        "model_ema=true",
        "freeze=2",
        "trainable_backbone_layers=3",
        "max_time=00:01:00:00",
        "deterministic=true",
        "weights=true",
        "callbacks=[early_stopping]",
        "predict run=latest source=photos iou=0.5",
        "list models",
        "logger=tb",
        "logger=[tensorboard,tensorboard]",
        "debug=true",
        "debug=nan",
        "dataset=photos",
        "evaluate photos",
        "predict model=model.pt source=photos",
        "predict run=lastest source=photos",
    ),
    "How it is written": (
        "recipe.lr = 0.1",
        "recipe.lr= 0.1",
        "recipe.epochs",
        "run_dir=",
        '"recipe.optimizer=\'adam"',
        "head={type: linear, label_smoothing: 0.1}",
        "seed=1 seed=2",
        "backbone=lenet backbone=resnet18",
        "seed=0,1",
        "backbone=lenet,resnet18",
        "source=photos",
    ),
    "Names": (
        "backbone=ResNet50",
        "backbone=resnet",
        "backbone=resnt18",
        "backbone=my_nett.yaml",
        "dataset=COCO",
        "Recipe.epochs=5",
        "recipe.epoch=5",
        "recipe.momentum=0.8",
        "dataset.batch_size=16",
        "recipe.optimizer=lion",
        "backbone.stages.c1.conv.kernel=3",
        "~backbone.stages.c1.pol",
    ),
    "Values": (
        "recipe.epochs=ten",
        "recipe.epochs=[5]",
        "recipe.epochs=0",
        "recipe.epochs=1000000000000",
        "recipe.early_stopping=5",
        "recipe.mix=true",
        "'recipe.mix={mixup: 0.2}'",
        "dataset.augment=storng",
        "recipe.ema=0.999",
        "recipe.checkpoint_every=10",
        "recipe.on_nan=ignore",
        "recipe.teacher=runs/a",
        "'recipe.teacher={run: runs/a, weight: 0.5}'",
        "recipe.lr=-1",
        "recipe.lr=10%",
        "recipe.max_time=20",
        "recipe.unfreeze_at=1.5 recipe.freeze=1",
        "recipe.batch_size=1.5",
        "dataset.image_size=large",
        "dataset.image_size=[32]",
        "strict=yes",
        "hardware.accelerator=tpu",
        "hardware.devices=0",
    ),
    "Data and networks": (
        "dataset=folder",
        "dataset=folder dataset.root=photo",
        "dataset=coco task=detect dataset.root=photos",
        "task=detect dataset=mnist",
        "task=detect dataset=folder dataset.root=photos",
        "head=unet",
        "backbone=alexnet dataset.image_size=16",
        "backbone=resnet18 recipe.batch_size=1 hardware=cpu",
        "recipe.batch_size=5000 strict=true hardware=cpu",
        "task=detect 'recipe.mix={mixup: 0.2, cutmix: 1, p: 0.5, off_last: 0.1}'",
        "dataset.augment.mixup.p=0.5",
        "recipe.freeze=3",
        "recipe.unfreeze_at=2",
        "recipe.freeze=1 hardware.strategy=fsdp",
        "recipe=muon hardware.strategy=fsdp",
        "~backbone.stages.c3 recipe.layer_decay=0.75",
        "hardware.compile=true hardware.gradient_checkpointing=true",
        "'recipe.ema={decay: 0.9998, warmup: true}' hardware=cpu hardware.devices=2 hardware.strategy=fsdp",
    ),
    "Weights, runs and plugins": (
        "weights=imagenet",
        "weights=resnet18.pth",
        "weights=notes.txt",
        "weights=photos",
        "evaluate",
        "evaluate run=latest",
        "evaluate run=photos",
        "predict source=photos",
        "serve port=9000",
        "resume=true",
        "train run=latest resume=true recipe.lr=0.1",
        "resume=auto",
        "run=latest resume=auto",
        "plugins=[my_blocks.py]",
        "plugins=[my_bloks]",
        "plugins=[broken]",
    ),
    "Hydra": (
        "--config-name mine",
        "--config-dir nowhere",
        "-m --cfg job seed=0,1",
        "backbone@encoder=lenet",
        "+backbone=resnet18",
        "~logger",
        "~recipe.lr",
        "hydra.job.chdir=true",
        "'run_dir=${now:%Y-%m-%d}'",
        "recipe.lr=0.1 recipe.schedule.gamma=0.5 'recipe.schedule={gamma: 0.1}'",
    ),
}
"""What is typed after ``python -m visionkit``, as in a shell, by what is wrong with it."""

Run = Callable[..., tuple[int, str, str]]
"""Arguments to exit code, standard output and standard error."""


def make_folder(folder: Path) -> None:
    """The files that lie where the commands are typed: a few photographs, notes, and two modules."""
    from PIL import Image

    for name in ("cat", "dog"):
        (folder / "photos" / name).mkdir(parents=True)
        for number in range(3):
            Image.new("RGB", (32, 32), (80 * number, 0, 0)).save(folder / "photos" / name / f"{number}.png")
    (folder / "notes.txt").write_text("buy milk\n")
    (folder / "my_blocks.py").write_text("")
    (folder / "broken.py").write_text("import torch\n\nclass MyBlock(Block:\n    pass\n")


def run_here(*arguments: str) -> tuple[int, str, str]:
    """Run the command line in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = visionkit(list(arguments))
    return code, out.getvalue(), err.getvalue()


def answer(typed: str, run: Run = run_here) -> str:
    """The one line that a wrong input gets in the working folder.

    Raises:
        ValueError: If it ends otherwise than with exit code 2 and one line.
    """
    code, out, err = run(*shlex.split(typed))
    lines = err.replace(str(Path.cwd()), HOME).splitlines()
    if code != 2 or out or len(lines) != 1 or not lines[0].startswith("visionkit: "):
        raise ValueError(f"{typed}: exit code {code}\n{out}{err}")
    return lines[0].removeprefix("visionkit: ")


def page(run: Run = run_here) -> str:
    """The page, with the answers that are given in the working folder."""
    count = sum(len(typed) for typed in INPUTS.values())
    parts = [
        "# Wrong inputs, and their answers",
        f"{count} inputs that people type behind `python -m visionkit`, and what each is told. Every one ends with "
        "exit code 2 and one line on standard error, before anything is written. `tools/write_wrong_inputs.py` writes "
        "this page from its list, and a test compares every answer with it.",
    ]
    for heading, inputs in INPUTS.items():
        rows = [f"| {_cell(typed)} | {_cell(answer(typed, run))} |" for typed in inputs]
        parts += [f"## {heading}", "\n".join(["| typed | answer |", "|---|---|", *rows])]
    return "\n\n".join(parts) + "\n"


def _cell(text: str) -> str:
    return "`" + text.replace("|", "\\|") + "`"


def main() -> int:
    """Write the page, or compare it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare the page with the answers instead of writing it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        make_folder(Path(folder))
        text = page()
    if not options.check:
        PAGE.write_text(text, encoding="utf-8")
        return 0
    known = PAGE.read_text(encoding="utf-8").splitlines() if PAGE.is_file() else []
    differing = [line for line in text.splitlines() if line not in known]
    print("\n".join(differing) or f"{PAGE} is as the answers are")
    return int(bool(differing))


if __name__ == "__main__":
    sys.exit(main())
