"""Warnings of problems in the design of a network, before it is trained."""

from __future__ import annotations

from visionkit.blocks import Activation, Concat, Gate, Init, LayerRecord, Norm, Primitive, Residual, Sequential
from visionkit.blocks.pooling import Identity
from visionkit.inspection.network import Network
from visionkit.inspection.stages import stage_shares

__all__ = ["warnings"]

_MAX_RECEPTIVE_FIELD_RATIO = 8
_MAX_STAGE_SHARE = 0.8
_MAX_PLAIN_DEPTH = 20
_SUITS_SATURATING = ("xavier_uniform", "xavier_normal", "orthogonal")
_SATURATING = ("tanh", "sigmoid")


def warnings(net: Network) -> list[str]:
    """The warnings for a network, empty if there are none."""
    return [warning for warning in (
        _small_map(net), _receptive_field(net), _heavy_stage(net), _plain_stack(net), *_initialisation(net)
    ) if warning]  # fmt: skip


def _small_map(net: Network) -> str:
    _, height, width = net.stages[-1].after.chw
    if min(height, width) >= 2:
        return ""
    return (
        f"the last map, of stage {net.stages[-1].path[0]}, has {height}x{width} cells: less than 2x2, so what is where "
        f"in the image is lost. Try a larger image, or fewer strides{_small_stem(net)}."
    )


def _small_stem(net: Network) -> str:
    return f", such as backbone.stem={net.backbone.stems[0]}" if net.backbone.stems else ""


def _receptive_field(net: Network) -> str:
    axes = (net.stages[-1].after.height, net.stages[-1].after.width)
    receptive_fields = [axis.receptive_field for axis in axes]
    if net.is_opaque or None in receptive_fields:
        return ""
    pairs = zip(receptive_fields, net.image_size, strict=True)
    pixels, size = min((pixels, size) for pixels, size in pairs if pixels is not None)
    if 2 * pixels < size:
        return (
            f"a cell of the last map sees {pixels} pixels, less than half of the image's {size}: larger things are "
            "seen in parts only. Try more layers, strides or larger kernels."
        )
    if pixels > _MAX_RECEPTIVE_FIELD_RATIO * size:
        return (
            f"a cell of the last map could see {pixels:,} pixels, {pixels / size:.0f} times the image's {size}: the "
            f"last layers add depth, not view. Try a larger image, or fewer layers or strides{_small_stem(net)}."
        )
    return ""


def _heavy_stage(net: Network) -> str:
    heaviest = max(stage_shares(net), key=lambda stage: stage["parameters"])
    if heaviest["parameters_share"] <= _MAX_STAGE_SHARE or len(stage_shares(net)) == 1:
        return ""
    advice = " Try head=linear, which takes the mean of each map first." if heaviest["name"] == "head" else ""
    return (
        f"{heaviest['name']} holds {100 * heaviest['parameters_share']:.0f} % of all parameters "
        f"({heaviest['parameters']:,}).{advice}"
    )


def _plain_stack(net: Network) -> str:
    longest = depth = 0
    for part in net.parts:
        depth, longest = _plain_depth(part, depth, longest)
    if longest <= _MAX_PLAIN_DEPTH:
        return ""
    return (
        f"{longest} layers with weights follow each other without norm or skip connection: gradients vanish or explode "
        "on such a way, and it hardly trains (Glorot & Bengio 2010; He et al. 2016). Try backbone.layer_defaults.norm="
        "batch, or blocks with shortcuts."
    )


def _plain_depth(record: LayerRecord, depth: int, longest: int) -> tuple[int, int]:
    """Number of consecutive weighted layers without norm or shortcut at the end of a record, and the maximum so far."""
    node = record.node
    if isinstance(node, Gate):
        return depth, longest
    if isinstance(node, Primitive):
        if isinstance(node, Norm) and node.shifts:
            return 0, longest
        depth += node.weights_per_neuron(record.before) is not None
        return depth, max(depth, longest)
    if isinstance(node, Sequential):
        for child in record.children:
            depth, longest = _plain_depth(child, depth, longest)
        return depth, longest
    branches = [_plain_depth(child, depth, longest) for child in record.children]
    longest = max(longest, *(branch[1] for branch in branches))
    skips = isinstance(node, Residual) or any(isinstance(child.node, Identity) for child in record.children)
    has_shortcut = skips and isinstance(node, Residual | Concat)
    return 0 if has_shortcut else max(branch[0] for branch in branches), longest


def _initialisation(net: Network) -> list[str]:
    """One warning for each pair of a saturating activation and an initialisation that does not suit it."""
    mismatches: dict[tuple[str, str], str] = {}
    for part in net.parts:
        _find_mismatches(part, None, mismatches)
    return [
        f"{activation} saturates, and init {init} of {where} does not suit it: {_REASONS.get(init, _FIXED_SCALE)} "
        "(Glorot & Bengio 2010). Try backbone.layer_defaults.init=xavier_uniform."
        for (activation, init), where in mismatches.items()
    ]


_FIXED_SCALE = "its scale knows nothing of how many inputs a neuron has"
_REASONS = {
    "default": "torch's default lets the signal fade from layer to layer",
    "kaiming_normal": "it doubles the variance for a ReLU, which drives such a function into its flat parts",
    "kaiming_uniform": "it doubles the variance for a ReLU, which drives such a function into its flat parts",
}


def _find_mismatches(
    record: LayerRecord, last_weighted: LayerRecord | None, mismatches: dict[tuple[str, str], str]
) -> LayerRecord | None:
    """Collect saturating activations whose previous weighted layer has an unsuitable init; gates saturate on purpose.

    Returns:
        The last weighted layer of the record without a norm after it, or None.
    """
    node = record.node
    if isinstance(node, Gate):
        return None
    if isinstance(node, Primitive):
        if isinstance(node, Activation) and node.name in _SATURATING and last_weighted is not None:
            init = getattr(last_weighted.node, "init", Init())
            if not _suits(init):
                mismatches.setdefault((node.name, init.type), ".".join(last_weighted.path))
        if isinstance(node, Norm) and node.shifts:
            return None
        return record if node.weights_per_neuron(record.before) is not None else last_weighted
    for child in record.children:
        after = _find_mismatches(child, last_weighted, mismatches)
        last_weighted = after if isinstance(node, Sequential) else last_weighted
    return last_weighted if isinstance(node, Sequential) else None


def _suits(init: Init) -> bool:
    gain_fits = init.nonlinearity in ("tanh", "sigmoid", "linear")
    return init.type in _SUITS_SATURATING or (init.type.startswith("kaiming") and gain_fits)
