"""The command line in processes of its own, as a person starts it."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import torch

from tests.helpers.paths import REPOSITORY


def overrides(photos):
    """A training of LeNet on the ``photos``, one epoch on the CPU."""
    return (
        "dataset=folder", f"dataset.root={photos}", "dataset.image_size=32", "dataset.augment=null", "backbone=lenet",
        "recipe.batch_size=6", "hardware=cpu", "recipe.epochs=1",
    )  # fmt: skip


def changed(words, *changes):
    """Words of a command, of which those with a key of ``changes`` are replaced: a command takes each key once."""
    keys = {word.partition("=")[0] for word in changes}
    return (*(word for word in words if word.partition("=")[0] not in keys), *changes)


def start(folder, *words, **environment):
    """A process that runs ``python -m visionkit WORDS`` in a folder."""
    paths = os.pathsep.join([str(REPOSITORY), str(folder)])
    return subprocess.Popen(
        [sys.executable, *([] if words[0] == "-m" else ["-m", "visionkit"]), *words],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": paths, "MARK": str(folder), **environment},
    )  # fmt: skip


def run(folder, *words, timeout=120, **environment):
    """Exit code, standard output and standard error of such a process."""
    process = start(folder, *words, **environment)
    try:
        out, err = process.communicate(timeout=timeout)
    finally:
        process.kill()  # one that does not end in time would slow down all that follow
    return process.returncode, out, err


def still_running(folder):
    """Processes that still live and were started, however indirectly, by a test of this folder."""
    mark = f"MARK={folder}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            alive = (process / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
            if alive and mark in (process / "environ").read_bytes().split(b"\0"):
                found.append(process.name)
        except OSError:
            continue
    return found


def checkpoint_weights(run):
    """The state of a run's last checkpoint, in double precision."""
    state = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    return {name: value.double() for name, value in state.items()}


def free_port():
    """A port of this machine that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
