"""Devices and processes: the group ``hardware``."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from pydantic import Field

from visionkit.errors import UserError
from visionkit.schema import parse
from visionkit.settings.numbers import PositiveInt

__all__ = ["Hardware"]


@dataclass(frozen=True, kw_only=True)
class Hardware:
    """The devices and processes of a run: the group ``hardware``.

    Attributes:
        accelerator: ``auto`` takes CUDA, else Apple's MPS, else the CPU.
        devices: Processes on each machine, each with a GPU or a share of the CPU cores; ``auto`` takes all GPUs.
        num_nodes: Number of machines.
        node_rank: Index of this machine, from 0.
        rendezvous: HOST:PORT of machine 0, to which the others connect; None on a single machine.
        timeout: Seconds that the machines wait for each other there.
        strategy: ``ddp`` replicates the model in each process, ``fsdp`` shards it over them.
        sync_batch_norm: Whether batch norm computes its statistics over the images of all processes.
        precision: ``bf16`` and ``16`` are mixed precision.
        compile: Whether `torch.compile` is applied.
        channels_last: Whether the model uses that memory layout.
        gradient_checkpointing: Whether the maps within each stage of the backbone are computed again for the backward
            pass rather than kept (Chen et al. 2016, arXiv:1604.06174): less memory, the same numbers.
    """

    accelerator: Literal["auto", "cpu", "gpu", "mps"]
    devices: PositiveInt | Literal["auto"]
    num_nodes: PositiveInt
    node_rank: Annotated[int, Field(ge=0, lt=1_000_000)]
    rendezvous: str | None
    timeout: PositiveInt
    strategy: Literal["ddp", "fsdp"]
    sync_batch_norm: bool
    precision: Literal["32", "bf16", "16"]
    compile: bool
    channels_last: bool
    gradient_checkpointing: bool

    @classmethod
    def from_config(cls, values: Mapping[str, Any]) -> "Hardware":
        """Read the group; for ``precision`` the integers 32 and 16 stand for ``"32"`` and ``"16"``.

        Raises:
            UserError: For an unknown key, a missing one, a wrong value, a ``node_rank`` of ``num_nodes`` or
                more, a ``rendezvous`` that is not HOST:PORT, or checkpointing of gradients in a compiled model.
        """
        if isinstance(values, Mapping) and type(values.get("precision")) is int:
            values = {**values, "precision": str(values["precision"])}
        hardware = parse(cls, values, where="hardware")
        if hardware.node_rank >= hardware.num_nodes:
            raise UserError(
                f"hardware.node_rank: found {hardware.node_rank}, but the machines are counted from 0 and there are "
                f"hardware.num_nodes={hardware.num_nodes} of them. Try: hardware.num_nodes={hardware.node_rank + 1}"
            )
        if hardware.rendezvous is not None:
            host, colon, port = hardware.rendezvous.rpartition(":")
            if not (host and colon and port.isdecimal() and 0 < int(port) < 2**16):
                raise UserError(
                    f"hardware.rendezvous: expected HOST:PORT of machine 0, such as 10.0.0.1:29500, "
                    f"found '{hardware.rendezvous}'."
                )
        if hardware.compile and hardware.gradient_checkpointing:
            raise UserError(
                "hardware.gradient_checkpointing: found true with hardware.compile=true, where the compiler chooses "
                "itself which maps it keeps. Expected one of them. Try: hardware.compile=false"
            )
        return hardware

    def on_cpu(self) -> "Hardware":
        """The same for what onnxruntime computes or is compared with: one process on the CPU, in full precision."""
        return replace(self, accelerator="cpu", devices=1, num_nodes=1, node_rank=0, precision="32")
