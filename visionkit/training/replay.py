"""Replays a batch whose loss or gradients were not finite, layer by layer: ``debug=nan``."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from visionkit.data.augment.mixing import BatchMixing
from visionkit.data.sample_seeds import mix_seed
from visionkit.training.nan_batch import NanBatch

__all__ = ["Replay", "replay_batch"]

_AUTOCAST = {"bf16": torch.bfloat16, "16": torch.float16}


@dataclass(frozen=True, kw_only=True)
class Replay:
    """Where numbers that are not finite come from.

    Attributes:
        kind: ``images``, ``weights``, ``output``, ``loss`` or ``gradient``, the first of these that has one; None if
            all are finite.
        layer: The layer, weight or loss term.
        layer_type: The class of the layer; empty where it is none.
        low: The smallest finite number that went into it, and ``high`` the largest; None without any.
        high: See ``low``.
        num_bad: How many numbers of what is not finite are not.
        samples: The positions in the batch of the images that have some; empty where they cannot be told apart.
        losses: Each loss.
    """

    kind: str | None
    layer: str = ""
    layer_type: str = ""
    low: float | None = None
    high: float | None = None
    num_bad: int = 0
    samples: tuple[int, ...] = ()
    losses: Mapping[str, float]


def replay_batch(
    model: Any,
    kept: NanBatch,
    *,
    accelerator: str = "cpu",
    precision: str = "32",
    mixing: BatchMixing | None = None,
    num_frozen: int = 0,
) -> Replay:
    """Run a batch forward and backward through a model.

    Args:
        model: A `visionkit.models.VisionModel`, uncompiled, with the weights to begin with; its gradients are changed.
        kept: The batch. What the model draws, as dropout does, is drawn as in its step.
        accelerator: ``cuda``, ``mps`` or ``cpu``.
        precision: As of ``hardware.precision``.
        mixing: What mixes the images of training batches, as it did in the step; None for nothing.
        num_frozen: The first stages of the backbone, which were not trained.
    """
    model.to(accelerator).train().requires_grad_(True)
    if num_frozen:
        model.backbone.freeze(num_frozen)
    batch = {name: value.to(accelerator) for name, value in kept.batch.items()}
    if mixing is not None:
        batch = mixing(batch, epoch=kept.epoch - 1, step=kept.batch_index)
    torch.manual_seed(mix_seed(kept.seed, kept.epoch - 1, kept.batch_index, kept.process))
    watch = _Watch(len(batch["images"]))
    bad_weight = next((n for n, value in model.state_dict().items() if not bool(value.isfinite().all())), None)
    with watch.watching(model):
        with torch.autocast(accelerator, dtype=_AUTOCAST.get(precision), enabled=precision in _AUTOCAST):
            outputs = model(batch["images"], batch.get("image_sizes"))
            losses: dict[str, Tensor] = model.loss(outputs, batch)
        torch.stack([loss.float() for loss in losses.values()]).sum().backward()  # type: ignore[no-untyped-call]
    values = {name: float(loss.detach()) for name, loss in losses.items()}
    if not bool(batch["images"].isfinite().all()):
        return Replay(kind="images", losses=values, **watch.facts(batch["images"], batch["images"]))
    if bad_weight is not None:
        weight = model.state_dict()[bad_weight]
        return Replay(kind="weights", layer=bad_weight, losses=values, num_bad=_num_bad(weight))
    if watch.output is not None:
        return Replay(kind="output", losses=values, **watch.output)
    bad_loss = next((name for name, loss in losses.items() if not bool(loss.isfinite())), None)
    if bad_loss is not None:
        logits = max(outputs.values(), key=lambda value: value.numel())
        return Replay(kind="loss", layer=bad_loss, losses=values, **watch.facts(losses[bad_loss], logits))
    if watch.gradient is not None:
        return Replay(kind="gradient", losses=values, **watch.gradient)
    for name, parameter in model.named_parameters():
        if parameter.grad is not None and not bool(parameter.grad.isfinite().all()):
            return Replay(kind="gradient", layer=name, losses=values, **watch.facts(parameter.grad, parameter))
    return Replay(kind=None, losses=values)


class _Watch:
    """Looks at the outputs of layers and at their gradients, and keeps the first of each that is not finite."""

    def __init__(self, batch_size: int) -> None:
        self.batch_size = batch_size
        self.output: dict[str, Any] | None = None
        self.gradient: dict[str, Any] | None = None

    @contextlib.contextmanager
    def watching(self, model: nn.Module) -> Iterator[None]:
        layers = [(name, module) for name, module in model.named_modules() if not list(module.children())]
        handles = [module.register_forward_hook(self._hook(name)) for name, module in layers]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _hook(self, name: str) -> Any:
        def look(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            into = next((value for value in inputs if isinstance(value, Tensor)), None)
            facts = {"layer": name, "layer_type": type(module).__name__}
            for value in _tensors(output):
                if self.output is None and not bool(value.isfinite().all()):
                    self.output = {**facts, **self.facts(value, into)}
                if value.requires_grad:
                    value.register_hook(lambda gradient: self._look_at_gradient(facts, gradient))  # type: ignore[no-untyped-call]

        return look

    def _look_at_gradient(self, facts: dict[str, Any], gradient: Tensor) -> None:
        if self.gradient is None and not bool(gradient.isfinite().all()):
            self.gradient = {**facts, **self.facts(gradient, gradient)}

    def facts(self, value: Tensor, into: Tensor | None) -> dict[str, Any]:
        """Of what is not finite: how much, in which images, and the range of what went into it."""
        bad = value.detach().isfinite().logical_not()
        of_images = bad.ndim > 0 and len(bad) == self.batch_size
        samples = tuple(bad.flatten(1).any(1).nonzero().flatten().tolist()) if of_images and bad.ndim > 1 else ()
        finite = torch.empty(0) if into is None else into.detach().float()
        finite = finite[finite.isfinite()]
        has_any = finite.numel() > 0
        return {
            "num_bad": _num_bad(value), "samples": samples,
            "low": float(finite.min()) if has_any else None, "high": float(finite.max()) if has_any else None,
        }  # fmt: skip


def _num_bad(value: Tensor) -> int:
    return int(value.detach().isfinite().logical_not().sum())


def _tensors(output: Any) -> list[Tensor]:
    values = list(output.values()) if isinstance(output, Mapping) else output
    found = values if isinstance(values, (list, tuple)) else [values]
    return [value for value in found if isinstance(value, Tensor) and value.is_floating_point()]
