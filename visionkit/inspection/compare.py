"""Several networks side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from visionkit.inspection.network import Network
from visionkit.inspection.tables import Grid, in_bytes, times
from visionkit.inspection.totals import Totals

__all__ = ["comparison", "ratios"]

Pair = tuple[Network, Totals]


def comparison(pairs: Sequence[Pair], *, exact: bool = False) -> Grid:
    """A column per network, a row per quantity, each with how many times the first network's it is.

    Args:
        pairs: The networks and their totals.
        exact: Plain numbers without ratios, for another program to read.
    """
    rows = [
        ["image", *(times(net.input) for net, _ in pairs)],
        ["classes", *("" if net.num_classes is None else f"{net.num_classes}" for net, _ in pairs)],
        ["last map HxWxC", *(_last_map(net) for net, _ in pairs)],
        ["receptive field", *(_view(net) for net, _ in pairs)],
        ["stride", *(_stride(net) for net, _ in pairs)],
    ]
    for name, (quantity, written) in _QUANTITIES.items():
        values = [quantity(pair) for pair in pairs]
        if exact:
            rows.append([name, *("" if value is None else str(value) for value in values)])
        else:
            rows.append([name, *(_against(value, values[0], written) for value in values)])
    title = f"{', '.join(net.name for net, _ in pairs)}, side by side"
    note = f"x: how many times that of {pairs[0][0].name}"
    return Grid(
        title, ["", *(net.name for net, _ in pairs)], rows, [False, *[True] * len(pairs)], notes=[] if exact else [note]
    )


def ratios(pairs: Sequence[Pair]) -> dict[str, list[float | None]]:
    """For each quantity of the totals, how many times the first network's each network's is."""
    first, quotients = pairs[0][1].to_json(), {}
    for key in first:
        if key != "batch_size":
            values = [totals.to_json()[key] for _, totals in pairs]
            quotients[key] = [_ratio(value, first[key]) for value in values]
    return quotients


def _against(value: int | None, first: int | None, written: Callable[[int], str]) -> str:
    ratio = _ratio(value, first)
    if value is None:
        return "?"
    return written(value) if ratio is None else f"{written(value)}  x {ratio:{'.2f' if ratio >= 0.1 else '.2g'}}"


def _ratio(value: int | None, first: int | None) -> float | None:
    return None if value is None or not first else value / first


def _plainly(number: int) -> str:
    return f"{number:,}"


_QUANTITIES: Mapping[str, tuple[Callable[[Pair], int | None], Callable[[int], str]]] = {
    "layers with weights": (lambda pair: pair[0].weighted_layers, _plainly),
    "parameters": (lambda pair: pair[1].parameters, _plainly),
    "trainable": (lambda pair: pair[1].trainable_parameters, _plainly),
    "neurons": (lambda pair: pair[1].neurons, _plainly),
    "connections": (lambda pair: pair[1].connections, _plainly),
    "MACs": (lambda pair: pair[1].macs, _plainly),
    "peak memory, inference": (lambda pair: pair[1].peak_inference_memory, in_bytes),
    "peak memory, training": (lambda pair: pair[1].peak_training_memory, in_bytes),
    "weights": (lambda pair: pair[1].weights_size, in_bytes),
    "checkpoint": (lambda pair: pair[1].checkpoint_size, in_bytes),
}


def _last_map(net: Network) -> str:
    channels, height, width = net.stages[-1].after.chw
    return times([height, width, channels])


def _view(net: Network) -> str:
    if net.is_opaque:
        return "?"
    view = net.stages[-1].after.height.receptive_field
    return "all" if view is None else f"{view} px"


def _stride(net: Network) -> str:
    return f"{net.stages[-1].after.height.jump}"
