"""The verb ``inspect``: layers, sizes, costs and memory of networks, computed without building them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from visionkit.errors import ExitCode
from visionkit.inspection.inspection import Inspection, InspectOptions, inspect_network
from visionkit.inspection.printing import print_inspections
from visionkit.runs.config import RunConfig
from visionkit.schema import parse

__all__ = ["inspect", "inspect_networks"]


def inspect(configs: Sequence[Mapping[str, Any]], options: Mapping[str, Any], *, use_dataset: bool) -> int:
    """Print the layers and totals of one network, or a comparison of several.

    Args:
        configs: A resolved configuration for each backbone.
        options: The options of the verb, see `InspectOptions`.
        use_dataset: Whether input channels, image size and number of classes are those of the data set.

    Returns:
        0.

    Raises:
        UserError: If a layer does not fit into its input, or anything else that ``train`` refuses.
    """
    print_inspections(*inspect_networks(configs, options, use_dataset=use_dataset))
    return ExitCode.DONE


def inspect_networks(
    configs: Sequence[Mapping[str, Any]], options: Mapping[str, Any], *, use_dataset: bool
) -> tuple[list[Inspection], InspectOptions]:
    """The inspections, and the options as they are read; see `inspect`."""
    inspect_options = parse(InspectOptions, options, where="inspect")
    verb_keys = [field.name for field in fields(InspectOptions)]
    runs = [RunConfig.from_plain(plain, check_data=use_dataset, verb_keys=verb_keys) for plain in configs]
    return [inspect_network(run, inspect_options, use_dataset=use_dataset) for run in runs], inspect_options
