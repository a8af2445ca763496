"""Reading weights from files, and loading them into a backbone."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, cast

import torch
from torch import Tensor, nn

from visionkit.backbones.backbone import Backbone
from visionkit.backbones.build import build_backbone
from visionkit.backbones.weights.download import published_file
from visionkit.backbones.weights.finite import non_finite
from visionkit.backbones.weights.layout import TorchvisionLayout, backbone_layout
from visionkit.backbones.weights.sources import LoadedWeights, MeanStd, is_published_by_library, published_mean_std
from visionkit.errors import UserError

__all__ = [
    "Weights",
    "adapt_input_conv",
    "load_backbone_weights",
    "load_strictly",
    "load_tensors",
    "mean_std_for_channels",
    "read_state_dict",
    "read_weights",
]


@dataclass(frozen=True)
class Weights:
    """Weights of a whole model under visionkit's names, with the prefixes ``backbone.``, ``neck.`` and ``head.``.

    Attributes:
        state: Names to tensors; tensors without a counterpart in the network keep the name of the file.
        mean_std: The normalisation they were trained with, one number per channel of the network; None if unknown.
    """

    state: dict[str, Tensor]
    mean_std: MeanStd | None


def load_backbone_weights(backbone: Backbone, source: str | Path) -> LoadedWeights:
    """Load weights of a backbone, or of a whole model, into a backbone.

    Args:
        backbone: The module; its last stages may be missing, and its input channels may differ from the weights'
            (see `adapt_input_conv`).
        source: ``imagenet`` (or ``imagenet_v1``, ``imagenet_v2``), a file in visionkit's layout or torchvision's, or
            ``run:FOLDER``.

    Returns:
        The normalisation of the weights, and notes on what was adapted.

    Raises:
        UserError: If there are no such weights, they cannot be read, or do not fit.
    """
    spec = backbone.spec
    if is_published_by_library(spec, source):
        cast(Any, backbone).load_published()
        mean_std, in_channels = spec.published_normalization(), backbone.spec.in_channels
        if mean_std is None or len(mean_std[0]) == in_channels:
            return LoadedWeights(mean_std)
        note = f"weights: '{source}' takes images of {len(mean_std[0])} channels, and these have {in_channels}: "
        return LoadedWeights(
            mean_std_for_channels(mean_std, in_channels), (note + "the first filters are made to fit by its library",)
        )
    own_state = backbone.state_dict()
    full_state = own_state
    if list(spec.feature_info)[-1] not in backbone.feature_info:
        with torch.device("meta"):
            full_state = build_backbone(spec).state_dict()
    weights = read_weights(source, [f"backbone.{name}" for name in full_state], backbone_layout(spec))
    state = {name.removeprefix("backbone."): value for name, value in weights.state.items()}
    not_built = full_state.keys() - own_state.keys()
    state = {name: value for name, value in state.items() if name not in not_built}
    notes = adapt_input_conv(state, own_state, spec.in_channels, source=str(source))
    load_strictly(backbone, state, source=str(source))
    return LoadedWeights(weights.mean_std, notes)


def read_weights(source: str | Path, names: Iterable[str], layout: TorchvisionLayout) -> Weights:
    """Find weights, read them, and rename them to visionkit's names.

    Args:
        source: Published weights, a file in visionkit's or torchvision's layout, or ``run:FOLDER``.
        names: Names of all expected tensors, with the prefixes ``backbone.``, ``neck.`` and ``head.``.
        layout: How torchvision stores the network's weights.

    Raises:
        UserError: If there are no such weights, they cannot be read, or the network has no counterpart.
    """
    requested = dict.fromkeys(names)
    origin = layout.find(source)
    torchvision_names: dict[str, str] = {}
    if origin.file is None:
        torchvision_names = _torchvision_names(layout, requested)  # fails before a download if the network was altered
    file = origin.file or published_file(layout.spec, layout.model, origin.source)
    state = read_state_dict(file)
    if any(f"backbone.{name}" in requested for name in state):
        state = {f"backbone.{name}": value for name, value in state.items()}
    elif layout.spec.torchvision and not state.keys() & requested.keys():
        torchvision_names = torchvision_names or _torchvision_names(layout, requested)
    mean_std = origin.mean_std
    if torchvision_names:
        own_names = {torchvision_name: own_name for own_name, torchvision_name in torchvision_names.items()}
        state = layout.update(state, own_names, file=file)
        state = {own_names.get(name, name): value for name, value in state.items()}
        mean_std = mean_std or published_mean_std(layout.model)
    return Weights(layout.drop_unused(state), mean_std_for_channels(mean_std, layout.spec.in_channels))


def load_tensors(path: str | Path, map_location: Any = "cpu") -> Any:
    """`torch.load` for files of strangers: tensors and plain values alone, in no more memory than the file has bytes.

    The checksums of the file are compared, which torch does not do.

    Raises:
        UnpicklingError: If the file holds more than that, such as code, or is compressed, which torch's never are.
        ValueError: If a checksum differs.
        Exception: Of a damaged file, whatever its bytes lead to.
    """
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
            if size > os.path.getsize(path):
                raise UnpicklingError(f"it is compressed, and has {size:,} bytes when unpacked")
            damaged = archive.testzip()
        if damaged is not None:
            raise ValueError(f"it is damaged: the checksum of its part '{damaged:.80}' differs")
    return torch.load(path, map_location=map_location, weights_only=True)


def read_state_dict(path: str | Path) -> dict[str, Tensor]:
    """Read the tensors of a weights file, without unpickling any code.

    Args:
        path: A .safetensors file, or a .pth, .pt or .ckpt file holding a state dict, perhaps under
            ``state_dict`` or ``model``. The prefixes ``module.`` (several processes) and ``model.`` (Lightning, of
            whose .ckpt files the other tensors are left) are taken off.

    Raises:
        UserError: If the file is missing or is no file of weights.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"weights: file '{path}' does not exist. Give a .safetensors, .ckpt or .pth file.")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return dict(load_file(path))
        content = load_tensors(path)
    except UnpicklingError:
        raise UserError(
            f"weights: '{path}' holds more than tensors, or is no file of torch's; nothing else is ever loaded. "
            "Expected a .safetensors file, or what torch.save(model.state_dict(), FILE) writes."
        ) from None
    except Exception as error:
        reason = str(error).split("\n")[0][:200]
        # some errors are only a byte's number, and those of pickle say nothing of the file
        details = f": {reason}" if " " in reason and not isinstance(error, LookupError) else ""
        raise UserError(
            f"weights: '{path}' cannot be read as a file of weights{details}. "
            "Expected a .safetensors file, or a .pth or .ckpt file that holds tensors alone."
        ) from None
    for key in ("state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not all(
        isinstance(k, str) and isinstance(v, Tensor) and v.layout == torch.strided for k, v in content.items()
    ):
        raise UserError(
            f"weights: '{path}' holds no state dict. Expected a mapping of names to dense tensors, "
            "such as torch.save(model.state_dict(), FILE) writes."
        )
    for prefix in ("module.", "model."):
        inner = {key.removeprefix(prefix): value for key, value in content.items() if key.startswith(prefix)}
        if len(inner) == len(content) or (prefix == "model." and path.suffix == ".ckpt" and inner):
            content = inner
    return dict(content)


def adapt_input_conv(
    state: dict[str, Tensor], own_state: Mapping[str, Tensor], in_channels: int, *, source: str
) -> tuple[str, ...]:
    """Adapt the filters of the input convolution to other input channels, in place.

    They are summed for one channel, else repeated cyclically and scaled to preserve the magnitude of the output.
    The input convolution is the first weight of four dimensions with ``in_channels`` input channels; the weight in
    the file may differ in nothing else.

    Args:
        state: The tensors to be loaded; modified.
        own_state: The network's tensors under the same names.
        in_channels: Channels of the images.
        source: Name of the weights, for the note.

    Returns:
        A note, if the filters were changed.
    """
    name = next((name for name, value in own_state.items() if value.ndim == 4 and value.shape[1] == in_channels), None)
    filters = None if name is None else state.get(name)
    if name is None or filters is None or filters.ndim != 4 or filters.shape[1] == in_channels:
        return ()
    if filters.shape[0] != own_state[name].shape[0] or filters.shape[2:] != own_state[name].shape[2:]:
        return ()
    file_channels = filters.shape[1]
    if in_channels == 1:
        state[name], change = filters.sum(dim=1, keepdim=True), "summed"
    else:
        state[name] = filters[:, torch.arange(in_channels) % file_channels] * (file_channels / in_channels)
        change = f"repeated in turn and multiplied by {file_channels}/{in_channels}"
    return (
        f"weights: '{source}' takes images of {file_channels} channel(s), and these have {in_channels}: "
        f"the first filters ({name}) are {change}",
    )


def load_strictly(module: nn.Module, state: Mapping[str, Tensor], *, source: str) -> None:
    """Load tensors into a module; every name and shape must match.

    Where ``num_batches_tracked`` is missing, as in old files, it is set to zero.

    Raises:
        UserError: Naming the keys that are missing, left over, or of another shape.
    """
    own_state = module.state_dict()
    counts = {key: torch.zeros_like(own_state[key]) for key in own_state if key.endswith(".num_batches_tracked")}
    state = counts | dict(state)
    missing = [key for key in own_state if key not in state]
    extra = [key for key in state if key not in own_state]
    shapes = [
        f"{key}: {tuple(state[key].shape)} in the file, {tuple(own_state[key].shape)} in the network"
        for key in own_state
        if key in state and own_state[key].shape != state[key].shape
    ]
    problems = [
        f"{title} ({len(keys)}): {', '.join(keys[:4])}{', ...' if len(keys) > 4 else ''}"
        for title, keys in (("missing", missing), ("left over", extra), ("other shapes", shapes))
        if keys
    ]
    if problems:
        raise UserError(
            f"weights: '{source}' does not fit this network. {'; '.join(problems)}. Weights fit the network they were "
            "trained in: another backbone, stem, norm or size of a layer needs others."
        )
    kinds = [key for key, value in own_state.items() if value.is_floating_point() != state[key].is_floating_point()]
    layouts = [key for key, value in state.items() if value.layout != torch.strided or value.is_quantized]
    numbers = [] if layouts or kinds else non_finite(state, own_state)
    strange = next(iter([*layouts, *kinds, *numbers]), None)
    if strange is not None:
        raise UserError(
            f"weights: '{source}' holds no numbers that a network can begin with: '{strange}' is NaN, infinite, sparse "
            "or of another type. Expected finite numbers. Try other weights."
        )
    module.load_state_dict(state)


def _torchvision_names(layout: TorchvisionLayout, names: Iterable[str]) -> dict[str, str]:
    try:
        return layout.names(names)
    except UserError as error:
        raise UserError(
            f"{error} Torchvision's weights fit its own network alone; for another head, start the backbone alone: "
            "backbone.weights=..."
        ) from None


def mean_std_for_channels(mean_std: MeanStd | None, in_channels: int) -> MeanStd | None:
    """Mean and std for another number of channels: their averages, repeated."""
    if mean_std is None or len(mean_std[0]) == in_channels:
        return mean_std
    mean, std = ((sum(values) / len(values),) * in_channels for values in mean_std)
    return mean, std
