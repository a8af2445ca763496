"""The verb ``inspect``: what arithmetic says of networks, without building them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from visionkit.errors import ExitCode
from visionkit.inspection.inspection import InspectOptions, inspect_network
from visionkit.inspection.printing import print_inspections
from visionkit.runs.config import RunConfig
from visionkit.schema import parse

__all__ = ["inspect"]


def inspect(configs: Sequence[Mapping[str, Any]], options: Mapping[str, Any], *, use_dataset: bool) -> int:
    """Print what arithmetic knows of one network, or of several side by side.

    Args:
        configs: A resolved configuration for each backbone.
        options: The verb's own keys, see `InspectOptions`.
        use_dataset: Whether channels, size and classes come from the data set.

    Returns:
        0.

    Raises:
        UserError: If a layer does not fit into its input, or anything else that ``train`` refuses.
    """
    wanted = parse(InspectOptions, options, where="inspect")
    own_keys = [field.name for field in fields(InspectOptions)]
    runs = [RunConfig.from_plain(plain, check_data=use_dataset, own_keys=own_keys) for plain in configs]
    print_inspections([inspect_network(run, wanted, use_dataset=use_dataset) for run in runs], wanted)
    return ExitCode.DONE
