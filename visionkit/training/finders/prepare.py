"""What both finders begin with: one process on one device, whatever the run is to have."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from visionkit.errors import UserError

if TYPE_CHECKING:
    from visionkit.runs.config import RunConfig

__all__ = ["plan_single_process"]


def plan_single_process(config: RunConfig, *, subject: str) -> tuple[RunConfig, str, int]:
    """A configuration for one process.

    Args:
        config: As typed.
        subject: What is found.

    Returns:
        The configuration; ``cuda``, ``mps`` or ``cpu``; and how many devices the run itself would have.

    Raises:
        UserError: If torchrun or srun has started this process as one of several, or a device is missing.
    """
    from visionkit.distributed.processes import Processes

    processes = Processes.plan(config.hardware)
    if processes.started and processes.count > 1:
        raise UserError(
            f"find {subject} measures in one process, and torchrun or srun has started {processes.count}. Start it "
            f"without them: python -m visionkit find {subject} ..."
        )
    hardware = replace(config.hardware, devices=1, num_nodes=1, node_rank=0, rendezvous=None, strategy="ddp")
    return replace(config, hardware=hardware), processes.accelerator, processes.count
