"""Backbone files: YAML of strangers, from which modules are built."""

import random
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch
import yaml

from attacks.case import CANARY, Case, Content, damaged, mutated, write
from visionkit.backbones import create_backbone
from visionkit.config_files import conf_folder

LENET = (conf_folder() / "backbone" / "lenet.yaml").read_text(encoding="utf-8")


def crafted() -> Iterator[Case]:
    """One YAML file of a backbone, built on the meta device."""
    for name, text in _backbones():
        yield Case("backbones", name, partial(_write_backbone, text.encode()), _build)


def mutation(draw: random.Random) -> Case:
    """A valid one, damaged at random."""
    if draw.random() < 0.5:
        return Case("backbones", "damaged", partial(_write_backbone, damaged(LENET.encode(), draw)), _build)
    text = yaml.safe_dump(mutated(yaml.safe_load(LENET), draw))
    return Case("backbones", "mutated", partial(_write_backbone, text.encode("utf-8", "replace")), _build)


def _write_backbone(content: Content, folder: Path) -> None:
    write(folder / "data" / "net.yaml", content)


def _build(folder: Path) -> None:
    with torch.device("meta"):
        create_backbone(folder / "data" / "net.yaml")


def _backbones() -> Iterator[tuple[str, str]]:
    levels = "".join(f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 9)}]\n" for i in range(1, 9))
    yield "aliases, a billion of them", f"l0: &l0 [x, x]\n{levels}{LENET}"
    for tag in ("python/object/apply:os.system", "python/object/new:subprocess.Popen"):
        yield f"!!{tag}", f"{LENET}\nx: !!{tag} ['touch {CANARY}']\n"
    for line in (
        "_target_: os.system",
        "defaults: [../../x]",
        "x: ${oc.env:HOME}",
        "name: '../../x'",
        'name: "\\e[2J"',
        "name: [a]",
    ):
        yield line, f"{line}\n{LENET.replace('name:', 'other:')}"
    for depth in (100, 2_000, 100_000):
        yield f"nested {depth} deep", "stages: " + "[" * depth + "]" * depth
    for value in ("0", "-1", "1000000000", "9" * 400, "1e400", ".nan", "true", "null", "[]", "{}", "'6'"):
        for key in ("out_channels", "kernel_size", "repeat", "stride", "padding"):
            text = re.sub(f"{key}: [^,}}]+", f"{key}: {value}", LENET, count=1)
            yield (
                f"{key} {value[:12]}",
                text if text != LENET else LENET.replace("padding:", f"{key}: {value}, padding:", 1),
            )
    for text in (
        "",
        "null",
        "[]",
        "hello",
        "\x00",
        "\x1b[2J",
        "a: b: c",
        "stages: {a: {b: {}}}",
        "- - - -",
        "? {a: b}\n: c",
    ):
        yield f"text {text[:12]!r}", text
