"""A timm model as a `Backbone` module."""

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
    """timm's features-only model, with named maps in (B, C, H, W).

    The child module ``net`` is the model with timm's parameter names. A parameter belongs to the stage that
    first uses it; parameters that no map depends on are not trained.
    """

    spec: TimmSpec

    def _build_layers(self) -> None:
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
        """Load the weights that timm publishes for this model, downloaded by timm into its cache.

        Raises:
            UserError: If timm has none, or they can neither be downloaded nor found in the cache.
        """
        published: Any = self.spec.model.published()
        where = f"backbone.weights=imagenet: backbone {self.spec.name}"
        if not published.has_weights:
            raise UserError(f"{where}: timm publishes no weights for this model. Try backbone.weights=null.")
        try:
            source = self.spec.model.create(num_stages=len(self._stage_names), pretrained=True)
        except Exception as error:
            reason = (str(error).strip() or type(error).__name__).split("\n")[0].split(". ")[0].rstrip(".")
            url = f"https://huggingface.co/{published.hf_hub_id}" if published.hf_hub_id else published.url
            name = self.spec.model.name
            raise UserError(
                f"{where}: timm could not fetch the weights from {url} ({reason}). Where there is a network, fetch "
                f"them by: python -c \"import timm; timm.create_model('{name}', pretrained=True)\"; then bring the "
                "Hugging Face cache along (~/.cache/huggingface, or the folder that HF_HOME names)."
            ) from None
        self.net.load_state_dict(source.state_dict())

    def stage_parameters(self) -> dict[str, list[nn.Parameter]]:
        """As `Backbone.stage_parameters`."""
        parameters = dict(self.net.named_parameters())
        return {
            stage: [parameters[name] for name in self._parameters_of(stage) if name in parameters]
            for stage in self._stage_names
        }

    def _stages(self) -> list[Stage]:
        return [_ParameterGroup(self.net, self._parameters_of(name)) for name in self._stage_names]

    def _parameters_of(self, stage: str) -> tuple[str, ...]:
        node = self.spec.stages[stage]
        assert isinstance(node, TimmStage)
        return node.measurement.parameters


class _ParameterGroup:
    """A subset of a model's parameters, and the modules that have no other parameters."""

    def __init__(self, model: nn.Module, names: Iterable[str]) -> None:
        parameters = dict(model.named_parameters())
        self._parameters = {parameters[name] for name in names if name in parameters}
        self._modules = [
            module for module in model.modules() if (owned := set(module.parameters())) and owned <= self._parameters
        ]

    def requires_grad_(self, requires_grad: bool) -> None:
        for parameter in self._parameters:
            parameter.requires_grad_(requires_grad)

    def eval(self) -> None:
        for module in self._modules:
            module.eval()
