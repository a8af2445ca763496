"""What a person should know of a network before training it."""

from __future__ import annotations

from visionkit.blocks import Activation, Concat, Gate, Init, LayerRecord, Norm, Primitive, Residual, Sequential
from visionkit.blocks.pooling import Identity
from visionkit.inspection.network import Network
from visionkit.inspection.stages import shares

__all__ = ["warnings"]

_MANY_TIMES = 8
_MOST = 0.8
_DEEP = 20
_SUITS_SATURATING = ("xavier_uniform", "xavier_normal", "orthogonal")
_SATURATING = ("tanh", "sigmoid")


def warnings(net: Network) -> list[str]:
    """The warnings that hold for a network, none for a sound one."""
    return [warning for warning in (
        _small_map(net), _view(net), _heavy_stage(net), _plain_stack(net), *_initialisation(net)
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


def _view(net: Network) -> str:
    axes = (net.stages[-1].after.height, net.stages[-1].after.width)
    views = [axis.receptive_field for axis in axes]
    if net.is_opaque or None in views:
        return ""
    view, size = min((view, size) for view, size in zip(views, net.image_size, strict=True) if view is not None)
    if 2 * view < size:
        return (
            f"a cell of the last map sees {view} pixels, less than half of the image's {size}: larger things are seen "
            "in parts only. Try more layers, strides or larger kernels."
        )
    if view > _MANY_TIMES * size:
        return (
            f"a cell of the last map could see {view:,} pixels, {view / size:.0f} times the image's {size}: the last "
            f"layers add depth, not view. Try a larger image, or fewer layers or strides{_small_stem(net)}."
        )
    return ""


def _heavy_stage(net: Network) -> str:
    heaviest = max(shares(net), key=lambda stage: stage["parameters"])
    if heaviest["parameters_share"] <= _MOST or len(shares(net)) == 1:
        return ""
    way = " Try head=linear, which takes the mean of each map first." if heaviest["name"] == "head" else ""
    return (
        f"{heaviest['name']} holds {100 * heaviest['parameters_share']:.0f} % of all parameters "
        f"({heaviest['parameters']:,}).{way}"
    )


def _plain_stack(net: Network) -> str:
    longest = run = 0
    for part in net.parts:
        run, longest = _run(part, run, longest)
    if longest <= _DEEP:
        return ""
    return (
        f"{longest} layers with weights follow each other without norm or skip connection: gradients vanish or explode "
        "on such a way, and it hardly trains (Glorot & Bengio 2010; He et al. 2016). Try backbone.layer_defaults.norm="
        "batch, or blocks with shortcuts."
    )


def _run(record: LayerRecord, run: int, longest: int) -> tuple[int, int]:
    """Layers in a row behind a record, and the most so far."""
    node = record.node
    if isinstance(node, Gate):
        return run, longest
    if isinstance(node, Primitive):
        if isinstance(node, Norm) and node.shifts:
            return 0, longest
        run += node.weights_per_neuron(record.before) is not None
        return run, max(run, longest)
    if isinstance(node, Sequential):
        for child in record.children:
            run, longest = _run(child, run, longest)
        return run, longest
    ends = [_run(child, run, longest) for child in record.children]
    longest = max(longest, *(end[1] for end in ends))
    skips = isinstance(node, Residual) or any(isinstance(child.node, Identity) for child in record.children)
    return (0 if skips and isinstance(node, Residual | Concat) else max(end[0] for end in ends)), longest


def _initialisation(net: Network) -> list[str]:
    """One warning for each pair of a saturating activation and an initialisation that does not suit it."""
    found: dict[tuple[str, str], str] = {}
    for part in net.parts:
        _pairs(part, None, found)
    return [
        f"{activation} saturates, and init {init} of {where} does not suit it: {_REASONS.get(init, _OWN_SCALE)} "
        "(Glorot & Bengio 2010). Try backbone.layer_defaults.init=xavier_uniform."
        for (activation, init), where in found.items()
    ]


_OWN_SCALE = "its scale knows nothing of how many inputs a neuron has"
_REASONS = {
    "default": "torch's default lets the signal fade from layer to layer",
    "kaiming_normal": "it doubles the variance for a ReLU, which drives such a function into its flat parts",
    "kaiming_uniform": "it doubles the variance for a ReLU, which drives such a function into its flat parts",
}


def _pairs(record: LayerRecord, last: LayerRecord | None, found: dict[tuple[str, str], str]) -> LayerRecord | None:
    """Look at each activation with the weighted layer right before it; gates saturate on purpose."""
    node = record.node
    if isinstance(node, Gate):
        return None
    if isinstance(node, Primitive):
        if isinstance(node, Activation) and node.name in _SATURATING and last is not None:
            init = getattr(last.node, "init", Init())
            if not _suits(init):
                found.setdefault((node.name, init.type), ".".join(last.path))
        if isinstance(node, Norm) and node.shifts:
            return None
        return record if node.weights_per_neuron(record.before) is not None else last
    for child in record.children:
        after = _pairs(child, last, found)
        last = after if isinstance(node, Sequential) else last
    return last if isinstance(node, Sequential) else None


def _suits(init: Init) -> bool:
    made_for_it = init.nonlinearity in ("tanh", "sigmoid", "linear")
    return init.type in _SUITS_SATURATING or (init.type.startswith("kaiming") and made_for_it)
