"""A timm model as a torch module with the contract of every backbone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from visionkit.backbones.backbone import Backbone, Stage
from visionkit.backbones.timm.measure import nchw
from visionkit.backbones.timm.spec import TimmStage
from visionkit.errors import UserError

if TYPE_CHECKING:
    from visionkit.backbones.timm.spec import TimmSpec

__all__ = ["TimmBackbone"]


class TimmBackbone(Backbone):
    """timm's features-only model, its maps named and laid out (B, C, H, W).

    The whole model is the child module ``net``, with timm's names inside. A parameter belongs to the
    stage that first uses it; one that no map depends on takes no part in training.
    """

    spec: TimmSpec

    def _make_layers(self) -> None:
        self.net = self.spec.model.create(num_stages=len(self._stage_names))
        used = {name for stage in self._stage_names for name in self._parameters_of(stage)}
        for name, parameter in self.net.named_parameters():
            if name not in used:
                parameter.requires_grad_(False)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """As `Backbone.forward`."""
        maps = zip(self._stage_names, self.net(images), strict=True)
        return {name: nchw(self.net, x) for name, x in maps if name in self.feature_info}

    def forward_features(self, images: Tensor) -> Tensor:
        """As `Backbone.forward_features`."""
        return nchw(self.net, self.net(images)[-1])

    def load_published(self) -> None:
        """Start from the weights that timm publishes for this model, fetched by timm into its own cache.

        Raises:
            UserError: If timm has none, or they can neither be fetched nor found in the cache.
        """
        published: Any = self.spec.model.published()
        where = f"backbone.weights=imagenet: backbone {self.spec.name}"
        if not published.has_weights:
            raise UserError(f"{where}: timm publishes no weights for this model. Try backbone.weights=null.")
        try:
            source = self.spec.model.create(num_stages=len(self._stage_names), pretrained=True)
        except Exception as error:
            reason = (str(error).strip() or type(error).__name__).split("\n")[0].split(". ")[0].rstrip(".")
            place = f"https://huggingface.co/{published.hf_hub_id}" if published.hf_hub_id else published.url
            name = self.spec.model.name
            raise UserError(
                f"{where}: timm could not fetch the weights from {place} ({reason}). Where there is a network, fetch "
                f"them by: python -c \"import timm; timm.create_model('{name}', pretrained=True)\"; then bring the "
                "Hugging Face cache along (~/.cache/huggingface, or the folder that HF_HOME names)."
            ) from None
        self.net.load_state_dict(source.state_dict())

    def _stages(self) -> list[Stage]:
        return [_Group(self.net, self._parameters_of(name)) for name in self._stage_names]

    def _parameters_of(self, stage: str) -> tuple[str, ...]:
        node = self.spec.stages[stage]
        assert isinstance(node, TimmStage)
        return node.measured.parameters


class _Group:
    """Some of a model's parameters, and the modules that hold no others."""

    def __init__(self, model: nn.Module, names: Iterable[str]) -> None:
        parameters = dict(model.named_parameters())
        self._parameters = {parameters[name] for name in names if name in parameters}
        self._modules = [m for m in model.modules() if (own := set(m.parameters())) and own <= self._parameters]

    def requires_grad_(self, requires_grad: bool) -> None:
        for parameter in self._parameters:
            parameter.requires_grad_(requires_grad)

    def eval(self) -> None:
        for module in self._modules:
            module.eval()
