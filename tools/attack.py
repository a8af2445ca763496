"""Attacks visionkit with crafted files: data sets, images, backbones, checkpoints and run folders of strangers.

Each case is made on the spot and read by a forked process with bounded memory and time, through the functions that the
command line calls. It may be read ("ok") or refused with a message for the user ("refused"). Bad are: a traceback, a
crash, a hang, too much memory, a canary (code of the file has run, or a file outside it was shown), and a terminal that
got control characters. The exit code is 1 if anything is bad. The same seed makes the same cases.
"""

import argparse
import json
import os
import random
import sys
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch
from attacks import backbones, coco, folders, images, masks, models, voc, yolo
from attacks.case import Case, Family
from attacks.runner import BAD, GOOD, Limits, Result, attack
from rich.console import Console
from rich.table import Table
from rich.text import Text

FAMILIES: dict[str, Family] = {
    "images": (images.crafted, images.mutation),
    "coco": (coco.crafted, coco.mutation),
    "yolo": (yolo.crafted, yolo.mutation),
    "voc": (voc.crafted, voc.mutation),
    "masks": (masks.crafted, masks.mutation),
    "folders": (folders.crafted, folders.mutation),
    "backbones": (backbones.crafted, backbones.mutation),
    "checkpoints": (models.checkpoint_crafted, models.checkpoint_mutation),
    "runs": (models.run_crafted, models.run_mutation),
}
QUICK, QUICK_MUTATIONS, MUTATIONS = 9, 3, 60
"""The number of crafted cases of a family in a quick attack, and of mutations in a quick and in a whole one."""


def choose(families: Sequence[str], *, quick: bool, mutations: int, seed: int) -> list[Case]:
    """All crafted cases of each family, or `QUICK` of them evenly spread, and mutations."""
    chosen = []
    for name in families:
        crafted, mutation = FAMILIES[name]
        cases, draw = list(crafted()), random.Random(f"{seed} {name}")
        chosen += [cases[index * len(cases) // QUICK] for index in range(QUICK)] if quick else cases
        chosen += [mutation(draw) for _ in range(mutations)]
    return chosen


def main() -> int:
    """Attack and print a table of verdicts by family, and what was bad."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="some 100 cases, for every commit (the default)")
    parser.add_argument("--all", action="store_true", help="every crafted case and more mutations: over 1,500")
    parser.add_argument("--family", action="append", choices=sorted(FAMILIES), help="this one alone; may be repeated")
    parser.add_argument("--mutations", type=int, help=f"of a family (quick {QUICK_MUTATIONS}, all {MUTATIONS})")
    parser.add_argument("--only", default="", help="cases whose name contains this text")
    parser.add_argument("--seed", type=int, default=0, help="of the mutations")
    parser.add_argument("--seconds", type=float, default=20.0, help="that a case may take")
    parser.add_argument(
        "--megabytes", type=int, default=2048, help="that a case may take; a picture of 178 megapixels takes 1.9 GiB"
    )
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="cases at the same time")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the verdict of each case")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)  # OpenMP's threads do not live on in a forked process
    quick = not arguments.all and not arguments.only
    mutations = arguments.mutations if arguments.mutations is not None else QUICK_MUTATIONS if quick else MUTATIONS
    families = arguments.family or list(FAMILIES)
    cases = choose(families, quick=quick, mutations=mutations, seed=arguments.seed)
    cases = [case for case in cases if arguments.only in case.name]
    limits = Limits(arguments.seconds, arguments.megabytes, arguments.jobs)
    results = list(attack(cases, limits))
    _print(results)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps([_row(result) for result in results], indent=1))
    return int(any(result.is_bad for result in results))


def _row(result: Result) -> dict[str, object]:
    case = result.case
    return {
        "family": case.family,
        "case": case.name,
        "verdict": result.verdict,
        "message": result.message,
        "seconds": round(result.seconds, 3),
    }


def _print(results: Sequence[Result]) -> None:
    console = Console(width=None if sys.stdout.isatty() else 140, highlight=False)
    counts = Counter((result.case.family, result.verdict) for result in results)
    table = Table(title=f"{len(results):,} crafted files", title_justify="left")
    table.add_column("family")
    for verdict in (*GOOD, *BAD):
        table.add_column(verdict, justify="right")
    for family in dict.fromkeys(result.case.family for result in results):
        table.add_row(family, *(str(counts[family, verdict] or "") for verdict in (*GOOD, *BAD)))
    console.print(table)
    for result in sorted((each for each in results if each.is_bad), key=lambda each: each.case.family):
        line = f"{result.case.family}: {result.case.name}: {result.verdict}: {result.message}"
        console.print(Text(ascii(line)[1:-1][:240]), soft_wrap=True)
    bad = sum(result.is_bad for result in results)
    console.print(f"{bad} of {len(results):,} bad." if bad else "Nothing is bad.")


if __name__ == "__main__":
    sys.exit(main())
