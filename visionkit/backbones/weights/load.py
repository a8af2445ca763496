"""Reading weights from files, and loading them into a backbone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, cast

import torch
from torch import Tensor, nn

from visionkit.backbones.backbone import Backbone
from visionkit.backbones.build import build_backbone
from visionkit.backbones.spec import BackboneSpec
from visionkit.backbones.weights.download import published_file
from visionkit.backbones.weights.sources import (
    LoadedWeights,
    MeanStd,
    find_weights,
    published_mean_std,
    publishes_its_own,
)
from visionkit.backbones.weights.torchvision_names import torchvision_names
from visionkit.backbones.weights.torchvision_tables import FAMILIES
from visionkit.errors import UserError

__all__ = [
    "Weights",
    "adapt_first_filters",
    "for_channels",
    "load_backbone_weights",
    "load_strictly",
    "read_state_dict",
    "read_weights",
    "without_old_names",
]


@dataclass(frozen=True)
class Weights:
    """Weights under our names for a whole model, ``backbone.`` and ``head.`` first.

    Attributes:
        state: Names to tensors; what has no place in the network keeps its own name.
        mean_std: The normalisation they were trained with, one number per channel of the network; None if unknown.
    """

    state: dict[str, Tensor]
    mean_std: MeanStd | None


def load_backbone_weights(backbone: Backbone, source: str | Path) -> LoadedWeights:
    """Start a backbone from weights of its own, or of a whole model around it.

    Args:
        backbone: Perhaps without its last stages, or for other channels than the weights: the first
            filters are then summed or repeated.
        source: ``imagenet`` (or ``imagenet_v1``, ``imagenet_v2``), a file in our layout or torchvision's, or
            ``run:FOLDER``.

    Raises:
        UserError: If there are no such weights, they cannot be read, or do not fit.
    """
    spec = backbone.spec
    if publishes_its_own(spec, source):
        cast(Any, backbone).load_published()
        mean_std, in_channels = spec.published_normalization(), backbone.spec.in_channels
        if mean_std is None or len(mean_std[0]) == in_channels:
            return LoadedWeights(mean_std)
        note = f"weights: '{source}' takes images of {len(mean_std[0])} channels, and these have {in_channels}: "
        return LoadedWeights(
            for_channels(mean_std, in_channels), (note + "the first filters are made to fit by its library",)
        )
    own = backbone.state_dict()
    every = own
    if list(spec.feature_info)[-1] not in backbone.feature_info:
        with torch.device("meta"):
            every = build_backbone(spec).state_dict()
    weights = read_weights(source, spec, [f"backbone.{name}" for name in every])
    state = {name.removeprefix("backbone."): value for name, value in weights.state.items()}
    not_built = every.keys() - own.keys()
    state = {name: value for name, value in state.items() if name not in not_built}
    notes = adapt_first_filters(state, own, spec.in_channels, source=str(source))
    load_strictly(backbone, state, source=str(source))
    return LoadedWeights(weights.mean_std, notes)


def read_weights(source: str | Path, spec: BackboneSpec, names: Iterable[str]) -> Weights:
    """Read weights and give them our names.

    Args:
        source: As for `load_backbone_weights`.
        spec: The backbone they are for.
        names: Of all tensors that are wanted, ``backbone.`` or ``head.`` first. Where no head's are among them, a
            head in the file is passed over.

    Raises:
        UserError: If there are no such weights, they cannot be read, or the network has no counterpart.
    """
    wanted = dict.fromkeys(names)
    origin = find_weights(source, spec)
    theirs: dict[str, str] = {}
    if origin.file is None:
        theirs = _their_names(wanted, spec)  # before anything is fetched for a network that was altered
        state = read_state_dict(published_file(spec, origin.source))
    else:
        state = read_state_dict(origin.file)
        if any(f"backbone.{name}" in wanted for name in state):
            state = {f"backbone.{name}": value for name, value in state.items()}
        elif spec.torchvision and not state.keys() & wanted.keys():
            theirs = _their_names(wanted, spec)
    mean_std = origin.mean_std
    head: tuple[str, ...] = ("head.", "neck.")
    if theirs:
        ours = {their_name: our_name for our_name, their_name in theirs.items()}
        state = {ours.get(name, name): value for name, value in without_old_names(state).items()}
        mean_std = mean_std or published_mean_std((spec.torchvision or {}).get("model", ""))
        head = _head_prefixes(spec)
    if not any(name.startswith("head.") for name in wanted):
        state = {name: value for name, value in state.items() if name in wanted or not name.startswith(head)}
    return Weights(state, for_channels(mean_std, spec.in_channels))


def read_state_dict(path: str | Path) -> dict[str, Tensor]:
    """The tensors in a file of weights; no code in it can run.

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
        content = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError:
        raise UserError(
            f"weights: '{path}' holds more than tensors, or is no file of torch's; nothing else is ever loaded. "
            "Expected a .safetensors file, or what torch.save(model.state_dict(), FILE) writes."
        ) from None
    except Exception as error:
        reason = str(error).split("\n")[0][:200]
        said = f": {reason}" if " " in reason else ""  # some are the number of a byte alone
        raise UserError(
            f"weights: '{path}' cannot be read as a file of weights{said}. "
            "Expected a .safetensors file, or a .pth or .ckpt file that holds tensors alone."
        ) from None
    for key in ("state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not all(
        isinstance(k, str) and isinstance(v, Tensor) for k, v in content.items()
    ):
        raise UserError(
            f"weights: '{path}' holds no state dict. Expected a mapping of names to tensors, "
            "such as torch.save(model.state_dict(), FILE) writes."
        )
    for prefix in ("module.", "model."):
        inner = {key.removeprefix(prefix): value for key, value in content.items() if key.startswith(prefix)}
        if len(inner) == len(content) or (prefix == "model." and path.suffix == ".ckpt" and inner):
            content = inner
    return dict(content)


def without_old_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict of torchvision's as its networks have it today.

    Auxiliary classifiers, which train a network and are no part of it (Szegedy et al. 2015, section 5), are
    left out; old DenseNet files say ``norm.1`` for ``norm1``.
    """
    return {
        re.sub(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)", r"\1\2", name): value
        for name, value in state.items()
        if not re.match(r"(aux\d|AuxLogits)\.", name)
    }


def adapt_first_filters(
    state: dict[str, Tensor], own: Mapping[str, Tensor], in_channels: int, *, source: str
) -> tuple[str, ...]:
    """Make filters for other channels fit, in place: summed for one channel, else repeated in turn.

    Repeated filters are scaled so that maps keep their size. The first filters are the first weight of four
    dimensions that takes as many channels as the images have; those in the file may differ in nothing else.

    Args:
        state: What is about to be loaded.
        own: The network's own tensors under the same names.
        in_channels: Channels of the images.
        source: For the note.

    Returns:
        A note, if anything was changed.
    """
    name = next((name for name, value in own.items() if value.ndim == 4 and value.shape[1] == in_channels), None)
    filters = None if name is None else state.get(name)
    if name is None or filters is None or filters.ndim != 4 or filters.shape[1] == in_channels:
        return ()
    if filters.shape[0] != own[name].shape[0] or filters.shape[2:] != own[name].shape[2:]:
        return ()
    found = filters.shape[1]
    if in_channels == 1:
        state[name], how = filters.sum(dim=1, keepdim=True), "summed"
    else:
        state[name] = filters[:, torch.arange(in_channels) % found] * (found / in_channels)
        how = f"repeated in turn and multiplied by {found}/{in_channels}"
    return (
        f"weights: '{source}' takes images of {found} channel(s), and these have {in_channels}: "
        f"the first filters ({name}) are {how}",
    )


def load_strictly(module: nn.Module, state: Mapping[str, Tensor], *, source: str) -> None:
    """Load tensors into a module; every name and shape must match.

    Old files don't say how many batches a norm has seen; counting then starts at zero.

    Raises:
        UserError: Naming the keys that are missing, left over, or of another shape.
    """
    own = module.state_dict()
    counts = {key: torch.zeros_like(own[key]) for key in own if key.endswith(".num_batches_tracked")}
    state = counts | dict(state)
    missing = [key for key in own if key not in state]
    extra = [key for key in state if key not in own]
    shapes = [
        f"{key}: {tuple(state[key].shape)} in the file, {tuple(own[key].shape)} in the network"
        for key in own
        if key in state and own[key].shape != state[key].shape
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
    module.load_state_dict(state)


def _their_names(names: Iterable[str], spec: BackboneSpec) -> dict[str, str]:
    try:
        return torchvision_names(names, spec)
    except UserError as error:
        raise UserError(
            f"{error} Torchvision's weights fit its own network alone; for another head, start the backbone alone: "
            "backbone.weights=..."
        ) from None


def _head_prefixes(spec: BackboneSpec) -> tuple[str, ...]:
    """How the names of a head begin in torchvision's counterpart."""
    table = FAMILIES[(spec.torchvision or {})["family"]].table
    return tuple(re.split(r"[\\#(]", theirs)[0] for ours, theirs in table if ours.startswith("head"))


def for_channels(mean_std: MeanStd | None, in_channels: int) -> MeanStd | None:
    """Mean and std for another number of channels: their average for each."""
    if mean_std is None or len(mean_std[0]) == in_channels:
        return mean_std
    mean, std = ((sum(values) / len(values),) * in_channels for values in mean_std)
    return mean, std
