"""The inspection of one network: layers, totals, explanations and warnings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from visionkit.backbones import read_backbone
from visionkit.backbones.weights.sources import check_weights
from visionkit.blocks.shapes import pair
from visionkit.inspection.explanations import Explanation, explain
from visionkit.inspection.layers import LayerRow, layer_rows
from visionkit.inspection.network import Network, trace_network
from visionkit.inspection.stages import stage_shares
from visionkit.inspection.totals import Totals, totals
from visionkit.inspection.warnings import warnings
from visionkit.sizes import ImageSize

if TYPE_CHECKING:
    from visionkit.runs.config import RunConfig

__all__ = ["InspectOptions", "Inspection", "inspect_network"]

PositiveInt = Annotated[int, Field(gt=0, le=65_536)]


@dataclass(frozen=True, kw_only=True)
class InspectOptions:
    """The options of the command ``inspect``; None stands for the value of the backbone file or the data set."""

    image_size: ImageSize | None = None
    in_channels: Annotated[int, Field(gt=0, le=4096)] | None = None
    num_classes: PositiveInt | None = None
    batch_size: PositiveInt = 1
    depth: PositiveInt = 2
    by: Literal["layer", "stage"] = "layer"
    columns: Literal["main", "all"] = "main"
    explain: bool = False
    format: Literal["text", "json", "csv", "markdown"] = "text"


@dataclass(frozen=True, repr=False)
class Inspection:
    """The results of inspecting one network.

    Attributes:
        task: Name of the task.
        backbone: The content of the backbone's file, with the user's changes.
        net: The traced network.
        totals: Sums and peaks over the network.
        layers: One row per layer, or per block below the chosen depth.
        explanations: One per kind of layer; empty unless requested.
        warnings: Problems of the design; empty unless requested.
    """

    task: str
    backbone: Mapping[str, Any]
    net: Network
    totals: Totals
    layers: list[LayerRow]
    explanations: list[Explanation]
    warnings: list[str]

    def __repr__(self) -> str:
        """In one line, as in a notebook; `layers` and `totals` have the numbers."""
        size = "x".join(map(str, self.net.input))
        return f"Inspection({self.net.name}, {size}, {len(self.layers)} layers, {self.totals.parameters:,} parameters)"

    def to_json(self, *, by: str = "layer", with_explanations: bool = False) -> dict[str, Any]:
        """Plain values: ``layers`` or ``stages``, ``totals``, and explanations and warnings if requested."""
        document: dict[str, Any] = {
            "backbone": self.net.name,
            "input": list(self.net.input),
            "num_classes": self.net.num_classes,
        }
        if by == "stage":
            document["stages"] = stage_shares(self.net)
        else:
            document["layers"] = [row.to_json() for row in self.layers]
        document["totals"] = self.totals.to_json()
        if with_explanations:
            document["explanations"] = [explanation.to_json() for explanation in self.explanations]
            document["warnings"] = self.warnings
        return document


def inspect_network(config: RunConfig, options: InspectOptions, *, use_dataset: bool) -> Inspection:
    """Inspect the network of a run.

    Args:
        config: The run's configuration, of which task, backbone, head and optimizer matter.
        options: The options of the command.
        use_dataset: Whether channels, image size and classes default to those of the data set.

    Raises:
        UserError: If a layer does not fit into its input, or anything else that ``train`` refuses.
    """
    check_weights(config.backbone, config.weights)
    head = config.head
    info = config.source.info() if use_dataset else None
    if info is None and options.num_classes is None:  # rejected by train, so rejected here
        head.check(num_classes=config.source.info().num_classes)
    in_channels = options.in_channels or (info.in_channels if info else None)
    backbone = head.adapt_backbone(read_backbone(config.plain["backbone"], in_channels=in_channels))
    net = trace_network(
        backbone,
        image_size=pair(options.image_size or (info.image_size if info else backbone.image_size)),
        head=head,
        num_classes=options.num_classes or (info.num_classes if info else None),
    )
    return Inspection(
        config.task.name,
        config.plain["backbone"],
        net,
        totals(net, batch_size=options.batch_size, optimizer=config.recipe.optimizer),
        layer_rows(net, depth=options.depth),
        explain(net) if options.explain else [],
        warnings(net) if options.explain else [],
    )
