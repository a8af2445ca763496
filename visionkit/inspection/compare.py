"""Comparison of several networks in one table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from visionkit.inspection.network import Network
from visionkit.inspection.tables import format_bytes, format_shape
from visionkit.inspection.totals import Totals
from visionkit.report.tables import Grid
from visionkit.runs.consistency import leaves
from visionkit.schema import describe

__all__ = ["comparison", "difference_grid", "differences", "ratios"]

Pair = tuple[Network, Totals]


def comparison(pairs: Sequence[Pair], *, exact: bool = False) -> Grid:
    """The table of comparison: a column per network, a row per quantity, with ratios to the first network.

    Args:
        pairs: The networks and their totals.
        exact: Plain numbers without ratios, for CSV.
    """
    rows = [
        ["image", *(format_shape(net.input) for net, _ in pairs)],
        ["classes", *("" if net.num_classes is None else f"{net.num_classes}" for net, _ in pairs)],
        ["last map HxWxC", *(_last_map(net) for net, _ in pairs)],
        ["receptive field", *(_receptive_field(net) for net, _ in pairs)],
        ["stride", *(_stride(net) for net, _ in pairs)],
    ]
    for name, (get_value, format_fn) in _QUANTITIES.items():
        values = [get_value(pair) for pair in pairs]
        if exact:
            rows.append([name, *("" if value is None else str(value) for value in values)])
        else:
            rows.append([name, *(_with_ratio(value, values[0], format_fn) for value in values)])
    rows.sort(key=lambda row: len(set(row[1:])) == 1 if not exact else 0)
    title = f"{', '.join(net.name for net, _ in pairs)}, side by side"
    note = f"x: how many times that of {pairs[0][0].name}"
    return Grid(
        title, ["", *(net.name for net, _ in pairs)], rows, [False, *[True] * len(pairs)], notes=[] if exact else [note]
    )


def differences(files: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """The dotted keys in which backbone files differ, with each one's value; None where it has no such key.

    What names a file, and what of it plays no part in the network, is left out.
    """
    flat = [dict(leaves(file)) for file in files]
    keys = dict.fromkeys(key for values in flat for key in values if key.split(".")[0] not in _NO_PART)
    found = {key: [values.get(key) for values in flat] for key in keys}
    return {key: values for key, values in found.items() if any(value != values[0] for value in values)}


def difference_grid(names: Sequence[str], files: Sequence[Mapping[str, Any]]) -> Grid:
    """The table of `differences`, with the first of many keys.

    Args:
        names: The networks.
        files: The content of their files.
    """
    found = differences(files)
    rows = [
        [key, *("" if value is None else describe(value).strip('"') for value in values)]
        for key, values in list(found.items())[:_MAX_DIFFERENCES]
    ]
    more = len(found) - len(rows)
    notes = [f"{more} more keys differ; format=json has all."] if more else []
    title = "what differs in the files" if rows else "the files are alike"
    return Grid(title, ["key", *names], rows, [False] * (1 + len(names)), notes=notes)


_MAX_DIFFERENCES = 8
_NO_PART = ("name", "stem", "stems", "torchvision", "image_size")


def ratios(pairs: Sequence[Pair]) -> dict[str, list[float | None]]:
    """For each quantity of the totals, the ratio of each network's value to the first network's; None if undefined."""
    first, result = pairs[0][1].to_json(), {}
    for key in first:
        if key != "batch_size":
            values = [totals.to_json()[key] for _, totals in pairs]
            result[key] = [_ratio(value, first[key]) for value in values]
    return result


def _with_ratio(value: int | None, first: int | None, format_fn: Callable[[int], str]) -> str:
    ratio = _ratio(value, first)
    if value is None:
        return "?"
    return format_fn(value) if ratio is None else f"{format_fn(value)}  x {ratio:{'.2f' if ratio >= 0.1 else '.2g'}}"


def _ratio(value: int | None, first: int | None) -> float | None:
    return None if value is None or not first else value / first


def _format_count(count: int) -> str:
    return f"{count:,}"


_QUANTITIES: Mapping[str, tuple[Callable[[Pair], int | None], Callable[[int], str]]] = {
    "layers with weights": (lambda pair: pair[0].weighted_layers, _format_count),
    "parameters": (lambda pair: pair[1].parameters, _format_count),
    "trainable": (lambda pair: pair[1].trainable_parameters, _format_count),
    "neurons": (lambda pair: pair[1].neurons, _format_count),
    "connections": (lambda pair: pair[1].connections, _format_count),
    "MACs": (lambda pair: pair[1].macs, _format_count),
    "peak memory, inference": (lambda pair: pair[1].peak_inference_memory, format_bytes),
    "peak memory, training": (lambda pair: pair[1].peak_training_memory, format_bytes),
    "weights": (lambda pair: pair[1].weights_size, format_bytes),
    "checkpoint": (lambda pair: pair[1].checkpoint_size, format_bytes),
}


def _last_map(net: Network) -> str:
    channels, height, width = net.stages[-1].after.chw
    return format_shape([height, width, channels])


def _receptive_field(net: Network) -> str:
    if net.is_opaque:
        return "?"
    receptive_field = net.stages[-1].after.height.receptive_field
    return "all" if receptive_field is None else f"{receptive_field} px"


def _stride(net: Network) -> str:
    return f"{net.stages[-1].after.height.jump}"
