"""The memory that predictions take, measured in a process of their own for each engine."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from visionkit.benchmarking.networks import NetworkSpec

__all__ = ["MemoryTask", "main", "measure_memory"]

_CALLS = 3
_PROGRAM = f"from {__name__} import main; main()"
_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class MemoryTask:
    """What a process measures.

    Attributes:
        spec: The network.
        engine: Of `visionkit.benchmarking.options.ENGINES`.
        onnx_file: That of an ONNX engine.
        threads: As for the timing.
        batches: Images and their sizes as arrays, by the number of images.
    """

    spec: NetworkSpec
    engine: str
    onnx_file: Path | None
    threads: int
    batches: Mapping[int, tuple[Any, Any]]


def measure_memory(task: MemoryTask) -> dict[int, float | None]:
    """Bytes that loading a model and predicting take at most beyond the libraries, by the number of images.

    Of a process on the CPU it is the growth of the resident memory (Linux alone; None elsewhere), on a GPU what torch
    has allocated there.

    Raises:
        ChildProcessError: If the process ends by a fault, such as too little memory; says which.
        KeyboardInterrupt: After Ctrl-C, once the process is gone.
    """
    # In a session of its own Ctrl-C does not reach it; it is ended here, with the processes of a compiler.
    with tempfile.TemporaryFile() as errors:  # a pipe would stay open as long as a process of a compiler
        process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
            start_new_session=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )  # fmt: skip
        try:
            output, _ = process.communicate(pickle.dumps(task))
            if process.returncode != 0:
                errors.seek(0)
                raise ChildProcessError(_fault(process.returncode, errors.read()))
            return {int(count): value for count, value in json.loads(output.splitlines()[-1]).items()}
        finally:
            with suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL) if hasattr(os, "killpg") else process.kill()
            process.wait()


def _fault(code: int, errors: bytes) -> str:
    """Why a process has ended: the signal that killed it, or the last line of its errors."""
    if code < 0:
        name = signal.Signals(-code).name
        return f"the process was killed by {name}" + (", perhaps for want of memory" if name == "SIGKILL" else "")
    lines = errors.decode(errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else f"the process ended with code {code}"


def main() -> None:
    """In the other process: read a task from standard input, and print bytes by the number of images as JSON."""
    print(json.dumps(_measure(pickle.load(sys.stdin.buffer))), flush=True)


def _measure(task: MemoryTask) -> dict[int, float | None]:
    """Bytes by the number of images, those of the smallest batch first."""
    import torch
    import torchvision  # noqa: F401 - heads import it when they are made

    from visionkit.benchmarking.engines import make_onnx, make_torch
    from visionkit.benchmarking.networks import load_network

    torch.set_num_threads(task.threads)
    if task.onnx_file is not None:
        import onnxruntime  # noqa: F401
    base = _start_peak()
    on_gpu = False
    if task.onnx_file is not None:
        run = make_onnx(task.onnx_file, threads=task.threads)
    else:
        network = load_network(task.spec)
        on_gpu = network.device.type == "cuda"
        run = make_torch(network, compiled=task.engine == "compile")
    found: dict[int, float | None] = {}
    for count in sorted(task.batches):
        images, sizes = (None if array is None else torch.from_numpy(array) for array in task.batches[count])
        assert images is not None
        for _ in range(_CALLS):
            run((images, sizes))
        peak = _peak()
        found[count] = None if base is None or peak is None else float(peak - base)
        if on_gpu:
            found[count] = float(torch.cuda.max_memory_allocated())
    return found


def _start_peak() -> int | None:
    """Let the peak of resident memory begin anew; its bytes, None where the system does not have it."""
    try:
        _CLEAR.write_text("5")
    except OSError:
        return None
    return _peak()


def _peak() -> int | None:
    """The largest resident memory of this process so far, in bytes.

    That of `resource.getrusage` is no smaller than the parent's.
    """
    try:
        line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        return None
    return 1024 * int(line.split()[1])
