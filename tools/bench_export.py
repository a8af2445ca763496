"""Measure exported files beside their models on the CPU, one image at a time, and the seconds that an export takes.

Each network is trained briefly on the digits that come with visionkit (detectors for longer, since the time of
suppression depends on how many boxes have a score), exported by the command ``export``, and measured by the command
``benchmark``: both engines take turns in one process. The ratio is that of the median times, and of several rounds,
each in a process of its own, the median. The command ends with exit code 1 if a limit is missed: of the ratios, where
the CPU has VNNI of 8 bits too, and of the seconds of the slowest export.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from visionkit.files import write_atomic

SCENES = (
    "dataset.image_size=256", "recipe.batch_size=8", "dataset.scenes.train=128", "dataset.scenes.val=24",
    "dataset.scenes.test=8", "dataset.scenes.count=[1,3]",
)  # fmt: skip
PHOTOS = ("dataset.image_size=224", "recipe.batch_size=16", "recipe.epochs=1", "debug.limit_batches=8")
DETECTOR = ("task=detect", "backbone=resnet18", *SCENES, "recipe.epochs=5")
CASES = {
    "lenet": ("backbone=lenet", "recipe.epochs=1"),
    "resnet18": ("backbone=resnet18", *PHOTOS),
    "mobilenet_v3_large": ("backbone=mobilenet_v3_large", *PHOTOS),
    "fcos_small": (*DETECTOR, "head=fcos_small"),
    "unet": ("task=segment", "backbone=resnet18", "head=unet", *SCENES, "recipe.epochs=1"),
}
"""The words of the training of each network."""

INT8 = "resnet18"
"""Is measured by int8 too, where the CPU has the instructions and the export takes it."""

SLOWEST_EXPORT = ("fcos", (*DETECTOR[:-1], "head=fcos", "recipe.epochs=1", "debug.limit_batches=4"))
"""Is exported alone."""

MAX_RATIO = {"onnx": 0.7, "onnx-int8": 0.6}
"""Of the median time to that of eager, at one image."""
MAX_EXPORT_SECONDS = 60
"""Of `SLOWEST_EXPORT`."""

Row = dict[str, Any]


def main() -> int:
    """Train, export, measure, print the ratios, and write JSON; 1 if a limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES), help="the networks (all)")
    parser.add_argument("--quick", action="store_true", help="lenet alone, one round of half a second")
    parser.add_argument("--rounds", type=int, default=3, help="processes that measure each network (3)")
    parser.add_argument("--seconds", type=float, default=5, help="for which each engine is timed in a round (5)")
    parser.add_argument("--threads", type=int, help="of torch and onnxruntime (one per core)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures into this file")
    options = parser.parse_args()
    if options.quick:
        options.cases, options.rounds, options.seconds = ["lenet"], 1, 0.5
    figures: Row = {"rows": [], "rounds": options.rounds, "seconds": options.seconds}
    with tempfile.TemporaryDirectory() as folder:
        for case in options.cases:
            row, environment = measure(case, Path(folder) / case, options)
            figures["rows"].append(row)
            figures["environment"] = environment
            print(describe(row), flush=True)
            write(figures, options.json)
        if not options.quick:
            name, words = SLOWEST_EXPORT
            seconds, problem = export(train(words, Path(folder) / "slowest"))
            figures["slowest_export"] = judge_export({"network": name, "export_seconds": seconds}, problem)
            print(f"export of {name}: {seconds} s" + describe_problems(figures["slowest_export"]))
    environment = figures["environment"]
    print(", ".join(f"{name} {version}" for name, version in environment["versions"].items()))
    print(f"{environment['cpu']}, {environment['cpu_cores']} cores, {environment['threads']} threads")
    write(figures, options.json)
    judged = [*figures["rows"], *([figures["slowest_export"]] if "slowest_export" in figures else [])]
    missed = [row["network"] for row in judged if not row["passed"]]
    print(f"limits missed: {', '.join(missed)}" if missed else "all limits are kept")
    return 1 if missed else 0


def write(figures: Row, path: Path | None) -> None:
    """Write the figures so far."""
    if path is not None:
        write_atomic(path, json.dumps(figures, indent=1) + "\n")


def measure(case: str, run: Path, options: argparse.Namespace) -> tuple[Row, Row]:
    """The figures of one network, and the machine."""
    seconds, problem = export(train(CASES[case], run))
    if problem:
        raise SystemExit(f"{case}: {problem}")
    engines = ["eager", "onnx"]
    row: Row = {"network": case, "export_seconds": seconds}
    if case == INT8:
        _, problem = export(run, "int8=true")
        row["int8"] = problem or "exported"
        engines += [] if problem else ["onnx-int8"]
    words = [f"run={run}", f"engines={','.join(engines)}", "batch=1", "accuracy=false", "memory=false", "format=json"]
    words += [f"seconds={options.seconds}", *([f"threads={options.threads}"] if options.threads else [])]
    rounds = [json.loads(command("benchmark", *words).stdout) for _ in range(options.rounds)]
    errors = [found["error"] for one in rounds for found in one["rows"] if found.get("error")]
    if errors:
        raise SystemExit(f"{case}: {errors[0]}")
    times = {engine: [one["rows"][number]["p50_ms"] for one in rounds] for number, engine in enumerate(engines)}
    row |= {"image_size": rounds[0]["rows"][0]["image_size"]}
    row |= {"p50_ms": {engine: statistics.median(values) for engine, values in times.items()}}
    row["ratio_to_eager"] = {
        engine: round(statistics.median(mine / eager for mine, eager in zip(values, times["eager"], strict=True)), 3)
        for engine, values in times.items()
        if engine != "eager"
    }
    row["notes"] = sorted({note for one in rounds for note in one["notes"]})
    return judge(row), rounds[-1]["environment"]


def judge(row: Row) -> Row:
    """A row with the limits that it misses, and whether there are none."""
    problems = [
        f"{engine} takes {ratio} times as long as eager, at most {MAX_RATIO[engine]} is wanted"
        for engine, ratio in row["ratio_to_eager"].items()
        if ratio > MAX_RATIO[engine]
    ]
    if row.get("int8", "exported") != "exported" and has_vnni():
        problems.append(f"int8 is refused, and the CPU has VNNI: {row['int8']}")
    limits = {engine: MAX_RATIO[engine] for engine in row["ratio_to_eager"]}
    return {**row, "limits": limits, "problems": problems, "passed": not problems}


def judge_export(row: Row, problem: str) -> Row:
    """As `judge`, of an export alone that may have been refused."""
    problems = [problem] if problem else []
    if row["export_seconds"] > MAX_EXPORT_SECONDS:
        problems.append(f"the export takes {row['export_seconds']} s, at most {MAX_EXPORT_SECONDS} s are wanted")
    return {**row, "limits": {"export_seconds": MAX_EXPORT_SECONDS}, "problems": problems, "passed": not problems}


def has_vnni() -> bool:
    """Whether this CPU multiplies 8-bit numbers fast."""
    from visionkit.export import quantization

    return quantization.has_vnni()


def train(words: tuple[str, ...], run: Path) -> Path:
    """The folder of a new run."""
    done = command("train", *words, "hardware=cpu", f"run_dir={run}")
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return run


def export(run: Path, *words: str) -> tuple[float, str]:
    """The seconds of an export, and why it was refused; else empty."""
    begun = time.perf_counter()
    done = command("export", f"run={run}", "to=onnx", *words)
    problem = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1] if done.returncode else ""
    return round(time.perf_counter() - begun, 1), problem


def command(*words: str) -> "subprocess.CompletedProcess[str]":
    """A command of visionkit, when it has ended."""
    return subprocess.run([sys.executable, "-m", "visionkit", *words], capture_output=True, text=True, check=False)


def describe(row: Row) -> str:
    """One line of a network."""
    times = ", ".join(f"{engine} {value:.3g} ms" for engine, value in row["p50_ms"].items())
    ratios = ", ".join(f"{engine} {value:.3f} times eager" for engine, value in row["ratio_to_eager"].items())
    size = "x".join(map(str, row["image_size"]))
    int8 = "" if row.get("int8", "exported") == "exported" else f"; int8: {row['int8']}"
    notes = "".join(f"\n  {note}" for note in row["notes"])
    end = f"{int8}{notes}{describe_problems(row)}"
    return f"{row['network']:20} {size:8} {ratios} ({times}), export {row['export_seconds']} s{end}"


def describe_problems(row: Row) -> str:
    """The limits that a row misses, a line of each."""
    return "".join(f"\n  MISSED: {problem}" for problem in row["problems"])


if __name__ == "__main__":
    sys.exit(main())
