"""How torchvision stores the weights of a network: what reading, converting and fitting weights ask about it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from torch import Tensor

from visionkit.backbones.spec import BackboneSpec
from visionkit.backbones.weights.sources import WeightSource, find_weights
from visionkit.backbones.weights.torchvision_names import Row, rename, torchvision_names
from visionkit.backbones.weights.torchvision_tables import FAMILIES

__all__ = ["TorchvisionLayout", "backbone_layout", "classifier_layout"]


@dataclass(frozen=True, kw_only=True)
class TorchvisionLayout:
    """How torchvision stores the weights of one network.

    Attributes:
        spec: The backbone of the network.
        model: Torchvision's name of the same network, whose weights are published; empty if there is none.
        find: Resolves a source of weights; raises a `UserError` if there are no such weights.
        names: Gives torchvision's names by visionkit's; raises a `UserError` where there is no counterpart.
        old_names: Patterns of names in older files of torchvision, and their replacements.
        unused: Pattern of the names of tensors, in either layout, that files may hold and the network has not.
        complete: Adds to tensors what the network needs beyond torchvision's; called with the tensors, all of
            torchvision's current names, and the file, or None where they come from no file.
        class_layers: Visionkit's layers with rows per class, and the number of consecutive rows of a class; None for
            the last layer of the network.
        num_anchors: How often the rows of all classes are repeated in a class layer.
        background: Whether the first class is background.
        coco_rows: Gives the rows of COCO's classes among the rows of its category ids; None where files have a row
            per class.
    """

    spec: BackboneSpec
    model: str
    find: Callable[[str | Path], WeightSource]
    names: Callable[[Iterable[str]], dict[str, str]]
    old_names: tuple[Row, ...] = ()
    unused: str | None = None
    complete: Callable[[dict[str, Tensor], Iterable[str], Path | None], dict[str, Tensor]] | None = None
    class_layers: Mapping[str, int] | None = None
    num_anchors: int = 1
    background: bool = False
    coco_rows: Callable[[], list[int]] | None = None

    def update(self, state: Mapping[str, Tensor], names: Iterable[str], *, file: Path | None) -> dict[str, Tensor]:
        """Convert a state dict of any version of torchvision to that of its current network.

        Args:
            state: The tensors.
            names: Torchvision's current names.
            file: The file of the tensors, or None.
        """
        state = {rename(name, self.old_names) or name: value for name, value in state.items()}
        return state if self.complete is None else self.complete(state, names, file)

    def drop_unused(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The state dict without the tensors that the network has not."""
        return {name: value for name, value in state.items() if not (self.unused and re.match(self.unused, name))}


def classifier_layout(spec: BackboneSpec) -> TorchvisionLayout:
    """The layout of a classifier.

    Auxiliary classifiers, which are used in training alone (Szegedy et al. 2015, section 5), are unused. ``norm.1`` of
    old DenseNet files is ``norm1`` today.
    """
    return TorchvisionLayout(
        spec=spec,
        model=(spec.torchvision or {}).get("model", ""),
        find=partial(find_weights, spec=spec),
        names=partial(torchvision_names, spec=spec),
        old_names=((r"(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\.)", r"\1\2"),),
        unused=r"(aux\d|AuxLogits)\.",
    )


def backbone_layout(spec: BackboneSpec) -> TorchvisionLayout:
    """The layout of a backbone alone, in the file of a classifier; other parts of a file's network are unused."""
    layout = classifier_layout(spec)
    family = FAMILIES.get((spec.torchvision or {}).get("family", ""))
    rows = () if family is None else family.table
    heads = [re.split(r"[\\#(]", target)[0] for pattern, target in rows if pattern.startswith("head")]
    return replace(layout, unused="|".join([str(layout.unused), r"(head|neck)\.", *map(re.escape, heads)]))
