"""Checkpoints and run folders: what a stranger's model could bring."""

import io
import json
import os
import pickle
import random
import struct
import zipfile
from collections.abc import Iterator, Mapping
from copy import deepcopy
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import save

from attacks.case import CANARY, NASTY, Case, Content, damaged, mutated, picture, write
from attacks.runner import CommandEnded
from visionkit.backbones import create_backbone


class _RunsCode:
    """Unpickling it touches the canary."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {CANARY}",)


def checkpoint_crafted() -> Iterator[Case]:
    """The weights of a run, and a file of weights."""
    state = _run_files()[1]
    for name, files in _checkpoints(state):
        yield Case("checkpoints", name, partial(_write_run, files), _predict)
    for name, content in _weight_files(state):
        for suffix in ("pth", "safetensors", "ckpt"):
            yield Case(
                "checkpoints", f"weights {name} .{suffix}", partial(_write_weights, suffix, content), _load(suffix)
            )


def checkpoint_mutation(draw: random.Random) -> Case:
    """A valid one, damaged at random."""
    state, kind = _run_files()[1], draw.choice(("safetensors", "ckpt"))
    content = damaged(save(state) if kind == "safetensors" else _torch(_checkpoint(state)), draw)
    files = {"model.safetensors": content} if kind == "safetensors" else {"model.safetensors": None, _BEST: content}
    return Case("checkpoints", f"damaged {kind}", partial(_write_run, files), _predict)


_BEST = "checkpoints/best.ckpt"


def _checkpoint(state: Mapping[str, Any]) -> dict[str, Any]:
    return {"epoch": 0, "state_dict": {f"model.{key}": value for key, value in state.items()}}


def _torch(value: Any, **options: Any) -> bytes:
    file = io.BytesIO()
    torch.save(value, file, **options)
    return file.getvalue()


def _checkpoints(state: dict[str, Any]) -> Iterator[tuple[str, dict[str, Content | None]]]:
    good = _checkpoint(state)
    for name, value in (
        ("a pickle that runs code", {**good, "x": _RunsCode()}),
        ("no mapping", [1]),
        ("no epoch", {"state_dict": good["state_dict"]}),
        ("no weights", {"epoch": 0}),
        ("epoch that is none", {**good, "epoch": "x"}),
        ("weights that are none", {**good, "state_dict": {"model.a": 5}}),
        ("a list of weights", {**good, "state_dict": [1]}),
        ("numbers as names", {**good, "state_dict": {5: torch.zeros(2)}}),
        (
            "other shapes",
            {**good, "state_dict": {key: value[:1] for key, value in good["state_dict"].items() if value.ndim}},
        ),
        (
            "sparse weights",
            {**good, "state_dict": {key: value.to_sparse() for key, value in good["state_dict"].items()}},
        ),
        ("expanded weights", {**good, "state_dict": {"model.x": torch.zeros(1).expand(10**12)}}),
    ):
        yield f"best.ckpt: {name}", {"model.safetensors": None, _BEST: _torch(value)}
    for name, content in _weight_files(state):
        yield f"model.safetensors: {name}", {"model.safetensors": content}
        yield f"best.ckpt: {name}", {"model.safetensors": None, _BEST: content}


def _weight_files(state: dict[str, Any]) -> Iterator[tuple[str, Content]]:
    content = save(state)
    for protocol in (0, 2, 4):
        yield f"pickle of protocol {protocol} that runs code", pickle.dumps(_RunsCode(), protocol=protocol)
    yield "torch's old form that runs code", _torch({"a": _RunsCode()}, _use_new_zipfile_serialization=False)
    yield "torch's form that runs code", _torch({"a": _RunsCode()})
    yield "empty", b""
    yield "cut off", content[: len(content) // 2]
    for length in (0, 10, 2**31, 2**63, 2**64 - 1):
        yield f"header of {length} bytes", struct.pack("<Q", length) + content[8:]
    for header in (
        "null",
        "[]",
        '{"a": 5}',
        "{" * 100_000,
        '{"a": {"dtype": "F32", "shape": [1000000000000], "data_offsets": [0, 4]}}',
        '{"a": {"dtype": "X", "shape": [1], "data_offsets": [0, 4]}}',
        '{"a": {"dtype": "F32", "shape": [-1], "data_offsets": [9, 4]}}',
        '{"\\u001b[2J": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}',
    ):
        yield f"header {header[:30]}", struct.pack("<Q", len(header)) + header.encode() + b"\x00" * 4
    yield "a zip bomb", lambda: _zip({"archive/data.pkl": bytes(1_500_000_000), "archive/version": b"3"})
    code = pickle.dumps(_RunsCode(), protocol=2)
    yield "a zip with a pickle", _zip({"../../canary": b"", "archive/data.pkl": code, "archive/version": b"3"})


def _zip(files: Mapping[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file.getvalue()


def run_crafted() -> Iterator[Case]:
    """The text files of a run folder."""
    config, _ = _run_files()
    for name, files in _run_folders(config):
        yield Case("runs", name, partial(_write_run, files), _predict)


def run_mutation(draw: random.Random) -> Case:
    """A valid one, damaged at random."""
    document = mutated(_run_files()[0], draw) if draw.random() < 0.6 else None
    if document is not None:
        text = yaml.safe_dump(document, allow_unicode=True).encode("utf-8", "replace")
        return Case("runs", "mutated config.yaml", partial(_write_run, {"config.yaml": text}), _predict)
    else:
        content = json.dumps(mutated(_DATA, draw)).encode("ascii")
        return Case("runs", "mutated data.json", partial(_write_run, {"data.json": content}), _predict)


_DATA = {
    "class_names": ["a", "b"],
    "in_channels": 3,
    "image_size": [32, 32],
    "mean": [0.5] * 3,
    "std": [0.5] * 3,
    "class_weights": None,
}


def _run_folders(config: dict[str, Any]) -> Iterator[tuple[str, dict[str, Content | None]]]:
    text = yaml.safe_dump(config)
    levels = "".join(f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 9)}]\n" for i in range(1, 9))
    evil = f"import os\nos.system('touch {CANARY}')\n".encode()
    yield (
        "a plugin",
        {"config.yaml": text.replace("plugins: []", "plugins: [evil]").encode(), "../evil.py": evil, "evil.py": evil},
    )
    for name, content in (
        ("aliases, a billion of them", f"l0: &l0 [x, x]\n{levels}{text}".encode()),
        ("nested 100,000 deep", b"[" * 100_000),
        ("!!python/object", f"{text}x: !!python/object/apply:os.system ['touch {CANARY}']\n".encode()),
        ("empty", b""),
        ("a list", b"[]"),
        ("binary", bytes(range(256))),
        ("UTF-16", text.encode("utf-16")),
        ("a comment of 9 MB", b"#" * 9_000_000 + b"\n" + text.encode()),
    ):
        yield f"config.yaml: {name}", {"config.yaml": content}
    for section in ("backbone", "head", "dataset", "task", "hardware", "recipe", "callbacks", "logger"):
        for value in ({"_target_": "os.system", "command": "touch canary"}, "os:system", None, [], 5, "\x1b[2J"):
            changed = {**deepcopy(config), section: value}
            yield f"config.yaml: {section} {value!r:.20}", {"config.yaml": yaml.safe_dump(changed).encode()}
    for section in ("backbone", "head", "dataset"):
        changed = deepcopy(config)
        changed[section]["type"] = "os:system"
        yield f"config.yaml: {section}.type os:system", {"config.yaml": yaml.safe_dump(changed).encode()}
    for key in _DATA:
        for value in NASTY:
            yield f"data.json: {key} {value!r:.12}", {"data.json": json.dumps({**_DATA, key: value}).encode("ascii")}
    for name, content in (
        ("nested", b"[" * 100_000),
        ("empty", b""),
        ("NaN", b"NaN"),
        ("binary", bytes(range(256))),
        ("digits", b"9" * 9999),
    ):
        yield f"data.json: {name}", {"data.json": content}


@lru_cache(maxsize=1)
def _run_files() -> tuple[dict[str, Any], dict[str, Any]]:
    """The configuration and the weights of a valid run."""
    from visionkit.cli.compose import group_choices
    from visionkit.cli.overrides import parse_overrides
    from visionkit.cli.resolve import resolve
    from visionkit.cli.verbs import VERBS
    from visionkit.models import create_model
    from visionkit.runs.folder import FORMAT_KEY, FORMAT_VERSION

    words = ["backbone=lenet", "dataset=folder", "dataset.image_size=32", "hardware=cpu"]
    parsed = parse_overrides(words, groups=group_choices([]), options=VERBS["train"].options, verb="train")
    config = {FORMAT_KEY: FORMAT_VERSION, **resolve(parsed, [])}
    model = create_model("classify", "lenet", num_classes=2, head=config["head"], in_channels=3, image_size=(32, 32))
    return config, {name: value.detach().clone() for name, value in model.state_dict().items()}


def _write_run(files: Mapping[str, Content | None], folder: Path) -> None:
    config, state = _run_files()
    good = {
        "config.yaml": yaml.safe_dump(config).encode(),
        "data.json": json.dumps(_DATA).encode(),
        "model.safetensors": save(state),
    }
    for name, content in {**good, **files}.items():
        if content is not None:
            write(folder / "data" / name, content)
    write(folder / "photo.png", picture((32, 32)))


def _predict(folder: Path) -> None:
    from visionkit.cli.main import main

    raise CommandEnded(
        main(["predict", f"run={folder / 'data'}", f"source={folder / 'photo.png'}", f"run_dir={folder / 'out'}"])
    )


def _write_weights(suffix: str, content: Content, folder: Path) -> None:
    write(folder / "data" / f"weights.{suffix}", content)


def _load(suffix: str) -> Any:
    def enter(folder: Path) -> None:
        create_backbone("lenet", weights=str(folder / "data" / f"weights.{suffix}"))

    return enter
