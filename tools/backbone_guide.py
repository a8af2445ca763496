"""Writes the generated parts of docs/backbones.md: the tables of all backbones, of the blocks and of the norms.

Sizes and counts come from the arithmetic of the specs, without torch; the measured equality with torchvision from
docs/equality.json (tools/measure_equality.py writes it).
"""

import argparse
import dataclasses
import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any, get_args, get_type_hints

from visionkit.backbones import BackboneSpec, list_backbones, load_backbone_file, read_backbone
from visionkit.backbones.files import backbone_file
from visionkit.blocks import BLOCKS, Activation, Init
from visionkit.blocks.normalization import NORMS
from visionkit.blocks.registry import LAYER_DEFAULT_KEYS
from visionkit.blocks.shapes import pair
from visionkit.heads import read_head
from visionkit.inspection.network import Network, trace_network
from visionkit.inspection.tables import format_bytes
from visionkit.registry import Registry

DOCS = Path(__file__).parents[1] / "docs"
PAGE = DOCS / "backbones.md"
EQUALITY = DOCS / "equality.json"

FAMILIES = {
    "LeNet and AlexNet": "lenet alexnet*",
    "VGG": "vgg*",
    "Airbench, for 32-pixel images": "airbench94",
    "Inception": "googlenet inception_v3",
    "ResNet": "resnet18 resnet34 resnet50 resnet101 resnet152",
    "ResNet for 32-pixel images, and its plain twins": "resnet20 resnet32 resnet44 resnet56 resnet110 plain*",
    "ResNeXt and Wide ResNet": "resnext* wide_resnet*",
    "DenseNet": "densenet*",
    "SqueezeNet": "squeezenet*",
    "MobileNet": "mobilenet*",
    "MnasNet": "mnasnet*",
    "ShuffleNet": "shufflenet*",
    "EfficientNet": "efficientnet*",
    "RegNet": "regnet*",
    "ConvNeXt": "convnext*",
}
"""Headings and the names, or patterns of names, below them."""


def main() -> None:
    """Write the page, or say whether it is fresh."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if the page is not fresh")
    arguments = parser.parse_args()
    page = PAGE.read_text(encoding="utf-8")
    fresh = refreshed(page)
    if fresh == page:
        return
    if arguments.check:
        sys.exit("docs/backbones.md is not fresh. Run: python tools/backbone_guide.py")
    PAGE.write_text(fresh, encoding="utf-8")


def refreshed(page: str) -> str:
    """The page with every generated part regenerated.

    Raises:
        SystemExit: If the page lacks a part's markers.
    """
    for name, make in PARTS.items():
        begin, end = f"<!-- generated: {name} -->\n", "<!-- end -->"
        if page.count(begin) != 1 or end not in page.partition(begin)[2]:
            sys.exit(f"docs/backbones.md: expected one '{begin.strip()}' with '{end}' behind it")
        before, _, rest = page.partition(begin)
        page = f"{before}{begin}\n{make()}\n{end}{rest.partition(end)[2]}"
    return page


@cache
def backbone_tables() -> str:
    """A heading and a table for each family, the smallest network first."""
    equality: Mapping[str, Mapping[str, float]] = json.loads(EQUALITY.read_text(encoding="utf-8"))["backbones"]
    remaining = set(list_backbones())
    text = []
    for family, patterns in FAMILIES.items():
        names = {name for name in remaining if any(fnmatch(name, pattern) for pattern in patterns.split())}
        remaining -= names
        ordered = sorted(names, key=lambda name: (macs(name), name))
        headings = (
            "backbone",
            "parameters",
            "GMACs",
            "memory",
            "sees",
            "features",
            "small stem",
            "output stride",
            "equality",
            "from",
        )
        table = markdown(headings, [backbone_row(name, equality.get(name)) for name in ordered], right=(1, 2, 3, 4))
        text.append(f"### {family}\n\n{table}")
    if remaining:
        sys.exit(f"tools/backbone_guide.py: no family of FAMILIES has {', '.join(sorted(remaining))}")
    return "\n".join(text)


def backbone_row(name: str, equality: Mapping[str, float] | None) -> list[str]:
    """The cells of one backbone."""
    spec = read(name)
    strides = [stride for stride in (8, 16) if last_stride(name, output_stride=stride) == stride < last_stride(name)]
    reference = backbone_file(name).read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")
    return [
        f"`{name}`",
        f"{sum(part.parameters for part in inspected(name).parts):,}",
        f"{macs(name) / 1e9:.3g}",
        peak(name),
        sees(name),
        " ".join(f"{info.channels}@{info.stride}" for info in spec.feature_info.values()),
        f"stride {last_stride(name, stem='small')}" if "small" in spec.stems else "-",
        ", ".join(map(str, strides)) or "-",
        measured(spec, equality),
        linked(reference),
    ]


def read(name: str, **overrides: Any) -> BackboneSpec:
    """A backbone with changes; its file, the slow part, is read once."""
    return read_backbone(content(name), overrides=overrides)


@cache
def content(name: str) -> dict[str, Any]:
    """The content of a backbone's file."""
    return load_backbone_file(backbone_file(name))


def macs(name: str) -> int:
    """Multiplications with a weight for one image of the paper's size, the paper's classifier included."""
    return sum(part.macs for part in inspected(name).parts)


@cache
def inspected(name: str) -> Network:
    """The network with the paper's classifier: 1000 classes, or 10 for networks of 32-pixel images."""
    spec = read(name)
    size = pair(spec.image_size)
    num_classes = 10 if size == (32, 32) else 1000
    return trace_network(spec, image_size=size, head=read_head("auto", task="classify"), num_classes=num_classes)


def sees(name: str) -> str:
    """The receptive field of the last map's cells."""
    view = inspected(name).stages[-1].after.height.receptive_field
    return "all" if view is None else f"{view:,} px"


def peak(name: str) -> str:
    """The peak memory of one image's feature maps in training."""
    memory = inspected(name).memory
    return "?" if memory is None else format_bytes(memory.training)


def last_stride(name: str, **overrides: Any) -> int:
    """The stride of the last map."""
    return list(read(name, **overrides).feature_info.values())[-1].stride


def measured(spec: BackboneSpec, equality: Mapping[str, float] | None) -> str:
    """The distances of logits and gradients from torchvision's."""
    if spec.torchvision is None:
        return "-"
    return "not measured" if equality is None else f"{equality['logits']:.1e} / {equality['gradients']:.1e}"


def linked(reference: str) -> str:
    """The text with its arXiv numbers made into links."""
    return re.sub(r"arXiv:(\d{4}\.\d{5}|\d{4}\.\d{4})", r"[arXiv:\1](https://arxiv.org/abs/\1)", reference)


def block_table() -> str:
    """All blocks with their keys."""
    rows = []
    for name, cls in shipped(BLOCKS):
        cells = (", ".join(names) for names in keys(cls))
        rows.append([f"`{name}`", *cells, plain(cls.__doc__)])
    headings = ("`type`", "must be given", "may be given", "else from `layer_defaults`", "what it is")
    return markdown(headings, rows)


def shipped(registry: Registry[Any]) -> list[tuple[str, type]]:
    """Names and classes of visionkit's own; somebody else's plugins may have added to them in this process."""
    types = [(name, registry.get(name)) for name in registry.names()]
    return [(name, cls) for name, cls in types if cls.__module__.startswith("visionkit.")]


def keys(cls: type) -> tuple[list[str], list[str], list[str]]:
    """The keys without a default, those with one, and those that ``layer_defaults`` give."""
    required, optional, inherited = [], [], []
    for field in dataclasses.fields(cls):
        if field.name in LAYER_DEFAULT_KEYS:
            inherited.append(f"`{field.name}`")
        elif field.default is dataclasses.MISSING:
            required.append(f"`{field.name}`")
        else:
            optional.append(f"`{field.name}: {written(field.default)}`")
    return required, optional, inherited


def written(value: Any) -> str:
    """A default as a backbone file would write it."""
    if isinstance(value, Activation):
        return value.name
    if isinstance(value, Init):
        return value.type
    return value if isinstance(value, str) else json.dumps(value)


def plain(docstring: str | None) -> str:
    """A docstring's first line in Markdown."""
    return linked((docstring or "").partition("\n")[0].replace("``", "`"))


def choice_list() -> str:
    """The norms with their keys, the activations, and the initialisers."""
    rows = []
    for name, cls in shipped(NORMS):
        _, optional, _ = keys(cls)
        rows.append([f"`{name}`", ", ".join(optional), plain(cls.__doc__)])
    lines = [
        f"- `activation`: {', '.join(f'`{name}`' for name in ('none', *choices(Activation, 'name')))}",
        f"- `init`: {', '.join(f'`{name}`' for name in choices(Init, 'type'))}",
    ]
    return markdown(("`norm`", "may be given", "what it is"), rows) + "\n" + "\n".join(lines) + "\n"


def choices(cls: type, field: str) -> tuple[str, ...]:
    """The words a field takes."""
    return get_args(get_type_hints(cls)[field])


def markdown(headings: Iterable[str], rows: Iterable[list[str]], *, right: tuple[int, ...] = ()) -> str:
    """A table; ``right`` are the columns that are aligned there."""
    headings = list(headings)
    rules = ["---:" if column in right else "---" for column in range(len(headings))]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (headings, rules, *rows))


PARTS: Mapping[str, Callable[[], str]] = {
    "backbones": backbone_tables,
    "blocks": block_table,
    "choices": choice_list,
}
"""The functions that generate the text between ``<!-- generated: NAME -->`` and ``<!-- end -->``."""


if __name__ == "__main__":
    main()
