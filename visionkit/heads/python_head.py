"""A head that a person gives in Python, as an object instead of a name in the configuration; needs no torch."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from visionkit.backbones import BackboneSpec
from visionkit.blocks import LayerRecord, Primitive
from visionkit.blocks.shapes import FeatureShape
from visionkit.errors import UserError
from visionkit.heads.spec import HeadSpec

if TYPE_CHECKING:
    from torch import nn

__all__ = ["PythonHeadSpec", "UnknownLayers"]


@dataclass(frozen=True)
class UnknownLayers(Primitive):
    """Layers of which nothing is known before they are built."""

    is_opaque: ClassVar[bool] = True

    def output(self, shape: FeatureShape) -> FeatureShape:
        return shape

    def build(self, shape: FeatureShape) -> nn.Module:
        raise TypeError("a head given in Python builds itself")


@dataclass(frozen=True, kw_only=True)
class PythonHeadSpec(HeadSpec):
    """A head made by a callable, which is given the backbone's maps and the number of classes.

    Attributes:
        factory: ``(feature_info, num_classes)`` to a `visionkit.heads.base.Head`, or such a head, which is copied.
        task: The task of the run.
    """

    factory: Any
    task: str  # type: ignore[misc]

    def trace(self, backbone: BackboneSpec, *, num_classes: int, image_size: tuple[int, int]) -> list[LayerRecord]:
        """One opaque record on the last map: costs and memory of the network are then unknown."""
        last = list(backbone.feature_shapes(image_size).values())[-1]
        return [LayerRecord(("head",), UnknownLayers(), last, last)]

    def arguments(self, backbone: BackboneSpec, *, num_classes: int, image_size: tuple[int, int]) -> dict[str, Any]:
        """The arguments of `module_class`."""
        return {"feature_info": backbone.feature_info, "num_classes": num_classes}

    def module_class(self) -> Callable[..., Any]:
        return self._make

    def _make(self, feature_info: Mapping[str, Any], num_classes: int) -> Any:
        """A new head; the person's own object stays as it is, whatever a training does to the copy.

        Raises:
            UserError: If what the callable gives is no head.
        """
        from visionkit.heads.base import Head

        made = self.factory if isinstance(self.factory, Head) else self.factory(feature_info, num_classes)
        if not isinstance(made, Head):
            raise UserError(
                f"head: the callable gave a {type(made).__name__}. Expected a visionkit.heads.base.Head, a module with "
                "forward(features, image_size), loss(outputs, targets) and predict(outputs, image_sizes)."
            )
        return copy.deepcopy(made)
