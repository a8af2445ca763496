"""The processes of a run, from the configuration or from the launcher (torchrun, srun) that started this one."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import re
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from visionkit.errors import UserError
from visionkit.settings import Hardware

__all__ = ["Processes", "is_first_process", "hard_exit", "started_in_group"]

TIMEOUT_MINUTES = 60


@dataclass(frozen=True)
class Processes:
    """The processes of a run, equally many on each machine.

    Attributes:
        accelerator: ``cuda``, ``mps`` or ``cpu``.
        per_node: Processes on a machine.
        num_nodes: Machines.
        started: Whether they are running, this one among them; otherwise, if several, they are still to be launched.
    """

    accelerator: str
    per_node: int = 1
    num_nodes: int = 1
    started: bool = False

    @property
    def count(self) -> int:
        """The number of processes on all machines."""
        return self.per_node * self.num_nodes

    @property
    def to_launch(self) -> bool:
        """Whether this process has to start them."""
        return self.count > 1 and not self.started

    @classmethod
    def plan(cls, hardware: Hardware) -> Processes:
        """From the environment of torchrun, srun or our own launcher, else from the configuration.

        Raises:
            UserError: If devices are missing, or several machines have no address for their rendezvous.
        """
        launched = _started_by_torch() or _started_by_slurm(hardware)
        if launched is None:
            _check_rendezvous(hardware)

        from visionkit.distributed.devices import choose_accelerator, count_devices

        accelerator = choose_accelerator(hardware)
        if launched is None:
            return cls(accelerator, count_devices(hardware, accelerator), hardware.num_nodes)
        per_node, num_nodes = launched
        count_devices(hardware, accelerator, started=per_node)
        return cls(accelerator, per_node, num_nodes, started=True)

    @contextlib.contextmanager
    def process_group(self) -> Iterator[None]:
        """A context within which this process belongs to torch's process group; without effect on a single process."""
        if self.count == 1:
            yield
            return
        import datetime

        import torch
        from torch import distributed

        cuda = self.accelerator == "cuda"
        if cuda:
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        # Tensors on the CPU (counts, requests to stop) go over gloo and do not wait for the GPUs.
        distributed.init_process_group(
            "cpu:gloo,cuda:nccl" if cuda else "gloo", timeout=datetime.timedelta(minutes=TIMEOUT_MINUTES)
        )
        try:
            yield
        finally:
            distributed.destroy_process_group()


def started_in_group() -> bool:
    """Whether torchrun or srun has started this process as one of several."""
    if _started_by_torch():
        return int(os.environ["WORLD_SIZE"]) > 1
    return _srun_tasks() > 1


def is_first_process() -> bool:
    """Whether this process writes files: rank 0 under torchrun or srun, and any other process."""
    if _started_by_torch():
        return os.environ["RANK"] == "0"
    return os.environ["SLURM_PROCID"] == "0" if _srun_tasks() > 1 else True


def hard_exit(code: int) -> None:
    """Exit without interpreter shutdown, during which gloo's threads could abort the process; end its children."""
    if hasattr(signal, "SIGCHLD"):
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # torch takes the end of a loader's worker for a failure
    for child in multiprocessing.active_children():
        child.kill()
        child.join(timeout=1)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _started_by_torch() -> tuple[int, int] | None:
    """Processes per machine and number of machines, from torchrun's environment; None without it."""
    variables = ("TORCHELASTIC_RUN_ID", "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    if any(name not in os.environ for name in variables):
        return None
    world_size, local_size = int(os.environ["WORLD_SIZE"]), int(os.environ["LOCAL_WORLD_SIZE"])
    if world_size % local_size:
        raise UserError(
            f"{world_size} processes were started, {local_size} of them here: expected the same number on every "
            "machine. Try the same hardware.devices, of torchrun --nproc_per_node, everywhere."
        )
    return local_size, world_size // local_size


def _started_by_slurm(hardware: Hardware) -> tuple[int, int] | None:
    """As `_started_by_torch`, from SLURM's environment; sets torchrun's variables for everything that follows."""
    num_tasks = _srun_tasks()
    if num_tasks < 2:
        return None
    num_nodes = int(os.environ.get("SLURM_STEP_NUM_NODES", os.environ.get("SLURM_NNODES", "1")))
    if num_tasks % num_nodes:
        raise UserError(
            f"srun started {num_tasks} tasks on {num_nodes} machines: expected the same number on every machine."
        )
    host, _, port = (hardware.rendezvous or "").rpartition(":")
    os.environ |= {
        "TORCHELASTIC_RUN_ID": os.environ.get("SLURM_JOB_ID", "slurm"),
        "RANK": os.environ["SLURM_PROCID"],
        "WORLD_SIZE": str(num_tasks),
        "LOCAL_RANK": os.environ.get("SLURM_LOCALID", str(int(os.environ["SLURM_PROCID"]) % (num_tasks // num_nodes))),
        "LOCAL_WORLD_SIZE": str(num_tasks // num_nodes),
        "GROUP_RANK": os.environ.get("SLURM_NODEID", "0"),
        "MASTER_ADDR": host or _first_host(),
        "MASTER_PORT": port or str(20_000 + int(os.environ.get("SLURM_JOB_ID", "0")) % 20_000),
    }
    return num_tasks // num_nodes, num_nodes


def _srun_tasks() -> int:
    """The number of tasks of srun; 1 in a job's shell, where SLURM sets variables but has started no tasks."""
    if "SLURM_STEP_ID" not in os.environ or "SLURM_PROCID" not in os.environ:
        return 1
    return int(os.environ.get("SLURM_STEP_NUM_TASKS", os.environ.get("SLURM_NTASKS", "1")))


def _first_host() -> str:
    """The first host of SLURM's node list: ``node03`` of ``node[03-05,9],x1``."""
    hosts = os.environ.get("SLURM_STEP_NODELIST", os.environ.get("SLURM_NODELIST", "127.0.0.1"))
    return re.sub(r"\[(\w+)[^]]*\]", r"\1", re.split(r",(?![^\[]*\])", hosts)[0])


def _check_rendezvous(hardware: Hardware) -> None:
    if hardware.num_nodes > 1 and hardware.rendezvous is None:
        raise UserError(
            f"hardware.num_nodes: found {hardware.num_nodes}, but not where they meet. Expected on each machine the "
            "same command with its own node_rank. Try on this one: "
            f"hardware.node_rank={hardware.node_rank} hardware.rendezvous=HOST:PORT, HOST being machine 0 and PORT a "
            "free one there, such as 29500"
        )
