"""What may have happened to a file of a run, or stand in its place."""

import io
import json
import os
import random
import zipfile

import torch
from safetensors.torch import save


def write(path, content):
    """Put bytes, or what a function makes, in the place of a file."""
    if path.exists():
        path.unlink()
    path.parent.mkdir(parents=True, exist_ok=True)
    if callable(content):
        content(path)
    else:
        path.write_bytes(content)


def gigantic(path):
    """A file of 300 MiB that takes no room."""
    path.touch()
    os.truncate(path, 300 << 20)


# Of any text file that is read.
TEXTS = {
    "empty": b"",
    "blank": b"\n\n",
    "binary": bytes(range(256)),
    "zeros": bytes(100),
    "latin-1": '{"überall": 1}'.encode("latin-1"),
    "a folder": lambda path: path.mkdir(),
    "a pipe": os.mkfifo,
    "gigantic": gigantic,
    "nested": b"[" * 100_000,
    "a page of the web": b"<!DOCTYPE html>\n<title>404</title>",
    "a picture": b"\x89PNG\r\n\x1a\n" + bytes(64),
}
JSONS = {
    "null": b"null",
    "NaN": b"NaN",
    "a list": b"[1, 2]",
    "a word": b'"text"',
    "digits": b"9" * 9999,
    "cut": b'{"mean": [0.5, ',
    "somebody's": json.dumps({"name": "app", "version": "1.0", "scripts": {}}).encode(),
}


def torch_bytes(value, **options):
    """What `torch.save` writes."""
    file = io.BytesIO()
    torch.save(value, file, **options)
    return file.getvalue()


def binaries(good):
    """What may stand in the place of a checkpoint or of weights; ``good`` is the whole file."""
    middle = bytearray(good)
    middle[len(good) // 2 : len(good) // 2 + 64] = random.Random(0).randbytes(64)
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(10_000_000))
    return {
        "empty": b"",
        "cut": good[: len(good) // 2],
        "of one byte": b"x",
        "zeros": bytes(len(good)),
        "scratched": bytes(middle),
        "text": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
        "a page of the web": b"<!DOCTYPE html>",
        "a folder": lambda path: path.mkdir(),
        "gigantic": gigantic,
        "a zip bomb": bomb.getvalue(),
    }


def objects(state):
    """Values that torch saves and that are no checkpoint of a run; ``state`` is that of a model."""
    lightning = {"epoch": 3, "global_step": 9, "pytorch-lightning_version": "2.1.0"}
    return {
        "None": None,
        "a number": 3,
        "a tensor": torch.zeros(3),
        "a list": [1],
        "an empty mapping": {},
        "a bare state dict": dict(state),
        "another program's": {**lightning, "state_dict": {f"net.{name}": value for name, value in state.items()}},
        "weights that are a list": {**lightning, "state_dict": [1, 2]},
        "no weights": {**lightning, "state_dict": {}},
        "weights that are words": {**lightning, "state_dict": dict.fromkeys(("model.a", "model.b"), "x")},
        "sparse weights": {**lightning, "state_dict": {f"model.{n}": v.to_sparse() for n, v in state.items()}},
        "complex weights": {**lightning, "state_dict": {f"model.{n}": v * 1j for n, v in state.items()}},
        "other names": {**lightning, "state_dict": {f"model.x{n}": v for n, v in state.items()}},
        "other shapes": {**lightning, "state_dict": {f"model.{n}": v[None] for n, v in state.items()}},
        "NaN": {**lightning, "state_dict": {f"model.{n}": v * float("nan") for n, v in state.items()}},
        "an epoch of words": {**lightning, "epoch": "last", "state_dict": {f"model.{n}": v for n, v in state.items()}},
        "a negative epoch": {**lightning, "epoch": -1, "state_dict": {f"model.{n}": v for n, v in state.items()}},
        "an endless epoch": {**lightning, "epoch": 10**30, "state_dict": {f"model.{n}": v for n, v in state.items()}},
    }


def safetensors(state):
    """Whole safetensors files that are not those of the model with this state."""
    return {
        "no tensors": save({}),
        "other names": save({f"x{name}": value for name, value in state.items()}),
        "other shapes": save({name: value[None] for name, value in state.items()}),
        "NaN": save({name: value * float("nan") for name, value in state.items()}),
        "infinite": save({name: value + float("inf") for name, value in state.items()}),
    }
