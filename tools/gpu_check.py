"""All that needs an NVIDIA GPU, whole within ten minutes: tests of every task, and speed as ratios within one run.

    python tools/gpu_check.py --json gpu.json                  # on the machine with the GPU
    python tools/gpu_check.py --cpu-rehearsal                  # here: every part in tiny sizes, to know that it runs

parity     raw outputs of each task's model on the GPU compared with the CPU's: float32, channels last, bf16, compiled
training   a short training and test of each task in bf16, channels last, with two workers; once compiled; once float32
           beside the same training on the CPU
resnet50   training images per second in bf16, eager and compiled, and those of torchvision's ResNet-50
retinanet  a training step and inference of RetinaNet on ResNet-50 at 800 pixels, and torchvision's (bench_detect.py)
speedrun   images per second of recipe=speedrun through the command's training, beside the bare step of its network

A part is a process with a time limit of its own; what it found before it failed or ran out of time is kept, and the
others run all the same. The exit code is 1 if a part failed or found a fault, 2 without a GPU. CIFAR-10 for `speedrun`
is a folder of class folders in train/ and test/; without --cifar10 images are noise, and only the speed is measured.

A machine without the package's dependencies needs them beforehand (`pip download` here, `pip install --no-index`
there): pydantic, hydra-core, omegaconf, antlr4-python3-runtime, pycocotools, faster-coco-eval, and what these need.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

REPOSITORY = Path(__file__).resolve().parents[1]
LIMITS = {"parity": 90, "training": 150, "resnet50": 120, "retinanet": 110, "speedrun": 110}
"""Seconds of each part; 580 in all."""


def main() -> int:
    """Run the parts in turn, each in its own process, and write one JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=LIMITS, default=list(LIMITS), help="(all)")
    parser.add_argument("--cpu-rehearsal", action="store_true", help="all parts in tiny sizes on the CPU")
    parser.add_argument("--cifar10", type=Path, metavar="FOLDER", help="train/ and test/ with a folder per class")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures into this file")
    parser.add_argument("--part", choices=LIMITS, help=argparse.SUPPRESS)  # of a process that was started below
    parser.add_argument("--rows", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        from gpu_parts import PARTS, Rows

        PARTS[options.part](Rows(options.rows), rehearsal=options.cpu_rehearsal, cifar10=options.cifar10)
        return 0
    import torch

    if not (options.cpu_rehearsal or torch.cuda.is_available()):
        print("gpu_check: torch finds no NVIDIA GPU here. Try: --cpu-rehearsal", file=sys.stderr)
        return 2
    from visionkit.runs.environment import describe_environment

    figures: dict[str, Any] = {"rehearsal": options.cpu_rehearsal, "parts": {}, "environment": describe_environment()}
    for name in options.parts:
        figures["parts"][name] = run_part(name, options)
        print(f"{name}: {_outcome(figures['parts'][name])}", file=sys.stderr, flush=True)
        if options.json is not None:  # after each part: the machine may be taken away
            options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    report(figures)
    return int(not all(part["passed"] for part in figures["parts"].values()))


def run_part(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """The rows of a part, how long it took, and the end of what it printed if it failed."""
    words = [sys.executable, __file__, "--part", name]
    words += ["--cpu-rehearsal"] if options.cpu_rehearsal else []
    words += ["--cifar10", str(options.cifar10.resolve())] if options.cifar10 else []
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])}
    if options.cpu_rehearsal:
        environment |= {"CUDA_VISIBLE_DEVICES": "", "TORCH_COMPILE_DISABLE": "1"}  # compiling alone takes minutes
    with tempfile.TemporaryDirectory(prefix="gpu_check-") as folder:
        rows, log = Path(folder, "rows.jsonl"), Path(folder, "log")
        began = time.perf_counter()
        with log.open("wb") as out:
            process = subprocess.Popen(
                [*words, "--rows", str(rows)], cwd=folder, env=environment, stdout=out, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip
            try:
                code: int | str = process.wait(LIMITS[name])
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)  # its workers too
                process.wait()
                code = f"stopped after {LIMITS[name]} s"
        found = [json.loads(line) for line in rows.read_text().splitlines()] if rows.is_file() else []
        faults = [row["name"] for row in found if row.get("fault")]
        part = {"rows": found, "seconds": round(time.perf_counter() - began, 1), "ended": code, "faults": faults}
        if code != 0:
            part["log"] = log.read_text(errors="replace")[-3000:]
    return {**part, "passed": code == 0 and not faults and bool(found)}


def _outcome(part: dict[str, Any]) -> str:
    if part["ended"] != 0:
        last = part["log"].strip().splitlines()[-1:] or ["nothing printed"]
        return f"FAILED ({part['ended']}) after {part['seconds']:.0f} s, {len(part['rows'])} rows: {last[0][:200]}"
    return f"{'FAULTS: ' + ', '.join(part['faults']) if part['faults'] else 'done'} in {part['seconds']:.0f} s"


def report(figures: dict[str, Any]) -> None:
    """Print all rows for a person."""
    table = Table(title="GPU check" + (", rehearsed on the CPU: no figure counts" if figures["rehearsal"] else ""))
    for heading in ("part", "what", "figures", "fault"):
        table.add_column(heading)
    for name, part in figures["parts"].items():
        for row in part["rows"]:
            values = ", ".join(f"{key} {value}" for key, value in row.items() if key not in ("name", "fault"))
            table.add_row(name, row["name"], values, row.get("fault") or "")
        table.add_row(name, "[bold]" + _outcome(part).replace("[", "("), "", "")
    console = Console(highlight=False, width=160)
    console.print(table)
    environment = figures["environment"]
    console.print(", ".join(f"{name} {version}" for name, version in environment["versions"].items()))
    console.print(
        f"{', '.join(environment['gpus']) or 'no GPU'}; {environment['cpu']}, {environment['cpu_cores']} cores"
    )


if __name__ == "__main__":
    sys.exit(main())
