"""Learning from another model, the teacher: its outputs for classification, its feature maps for other tasks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from visionkit.data.sample_seeds import mix_seed

__all__ = ["Distillation", "FeatureDistillation", "LogitDistillation", "kl_divergence", "pearson_distance"]

_LOSS, _TASK_LOSS = "loss_distillation", "loss_task"
_ADAPTER_SEED = 1503
"""Tells the draws of the adapters from those of other parts of a run."""


class Distillation(nn.Module, ABC):
    """A term of the training loss that makes a student like its teacher.

    The teacher is in evaluation mode and without gradients, sees the same images, augmented and mixed as they are, and
    normalises them by its own mean and std. It moves with this module, and is neither among its parameters nor in its
    state: a checkpoint holds what is trained alone.

    Args:
        teacher: From images and their sizes to outputs or features.
        weight: How much the term counts.
        identity: A hash of the teacher's weights.
    """

    def __init__(self, teacher: nn.Module, *, weight: float, identity: str) -> None:
        super().__init__()
        self._teacher = (teacher.eval().requires_grad_(False),)  # in a tuple, so that it is no child
        self.weight, self.identity = weight, identity

    @abstractmethod
    def add(
        self, losses: Mapping[str, Tensor], outputs: Mapping[str, Tensor], batch: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """The losses of a step with the term ``loss_distillation``; their sum is minimised.

        Args:
            losses: Those of the task, scalars.
            outputs: Those of the student.
            batch: What it was given: ``images``, and ``image_sizes`` where they are padded.
        """

    def reset(self) -> None:
        """Begin anew what is trained of it."""

    def add_parameters(self, optimizer: torch.optim.Optimizer) -> None:
        """Give what is trained of it to the optimizer, with the rate and weight decay of a layer of the head."""
        own = list(self.parameters())
        if not own:
            return
        groups = [group for group in optimizer.param_groups if not group.get("orthogonal")] or optimizer.param_groups
        like = max(groups, key=lambda group: (group.get("lr_scale", 1.0) == 1, group["weight_decay"]))
        rate = like["lr"] / like.get("lr_scale", 1.0)
        optimizer.add_param_group({"params": own, "lr": rate, "weight_decay": like["weight_decay"]})

    def ask_teacher(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What the teacher makes of the images of a batch."""
        with torch.no_grad():
            return self._teacher[0](batch["images"], batch.get("image_sizes"))  # type: ignore[no-any-return]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Distillation:
        """Move the teacher to another device as well."""
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self._teacher[0]._apply(fn)  # type: ignore[no-untyped-call]
        return self


class LogitDistillation(Distillation):
    """The classes of images as the teacher sees them, softened (Hinton et al. 2015, arXiv:1503.02531, section 2).

    The loss is ``(1 - weight) * task + weight * T**2 * KL(teacher || student)`` of the softmax at temperature T.

    Args:
        teacher: From images to ``{"logits": (B, K)}``.
        weight: The share of the term, above 0 and at most 1.
        identity: A hash of the teacher's weights.
        temperature: T, of both softmaxes.
        class_order: For each class of the student its index in the teacher's logits; None for the same order.
    """

    class_order: Tensor | None

    def __init__(
        self,
        teacher: nn.Module,
        *,
        weight: float,
        identity: str,
        temperature: float,
        class_order: Sequence[int] | None = None,
    ) -> None:
        super().__init__(teacher, weight=weight, identity=identity)
        self.temperature = temperature
        order = None if class_order is None else torch.tensor(class_order)
        self.register_buffer("class_order", order, persistent=False)

    def add(
        self, losses: Mapping[str, Tensor], outputs: Mapping[str, Tensor], batch: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """See `Distillation.add`; the task's losses are scaled by what the term leaves."""
        logits = self.ask_teacher(batch)["logits"]
        if self.class_order is not None:
            logits = logits.index_select(1, self.class_order)
        of_teacher = kl_divergence(outputs["logits"], logits, temperature=self.temperature)
        return {**_task_losses(losses, 1 - self.weight), _LOSS: self.weight * of_teacher}


class FeatureDistillation(Distillation):
    """The backbone's maps of equal stride, each channel normalised (PKD: Cao et al. 2022, arXiv:2207.02039).

    The loss is ``task + weight * mean over strides of (1 - Pearson correlation of the channels)``. Where the student's
    map has other channels, a 1x1 convolution makes the teacher's of it; it is trained with the student.

    Args:
        teacher: From images to the maps of its backbone.
        weight: The factor of the term.
        identity: A hash of the teacher's weights.
        maps: For each stride the student's map and the teacher's, as (name, channels).
        seed: That of the run, for the initial weights of the convolutions.
    """

    def __init__(
        self,
        teacher: nn.Module,
        *,
        weight: float,
        identity: str,
        maps: Mapping[int, tuple[tuple[str, int], tuple[str, int]]],
        seed: int,
    ) -> None:
        super().__init__(teacher, weight=weight, identity=identity)
        self.names = {stride: (own[0], other[0]) for stride, (own, other) in maps.items()}
        self._seed = seed
        self._features: dict[str, Tensor] = {}
        with torch.random.fork_rng(devices=[]):
            self.adapters = nn.ModuleDict(
                {str(s): nn.Conv2d(own[1], other[1], 1) for s, (own, other) in maps.items() if own[1] != other[1]}
            )
        self.reset()

    def reset(self) -> None:
        """Draw the weights of the convolutions by the seed of the run."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(mix_seed(self._seed, _ADAPTER_SEED))
            for adapter in self.adapters.values():
                adapter.reset_parameters()  # type: ignore[operator]

    def watch(self, backbone: nn.Module) -> FeatureDistillation:
        """Keep the maps that the student's backbone gives in training, until they are used."""
        features = self._features

        def keep(module: nn.Module, inputs: Any, output: dict[str, Tensor]) -> None:
            if module.training:
                features.update(output)

        backbone.register_forward_hook(keep)
        return self

    def add(
        self, losses: Mapping[str, Tensor], outputs: Mapping[str, Tensor], batch: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """See `Distillation.add`; the task's losses stay as they are."""
        features = self.ask_teacher(batch)
        distances = []
        for stride, (own, other) in self.names.items():
            student, teacher = self._features[own], features[other]
            if str(stride) in self.adapters:
                student = self.adapters[str(stride)](student)
            if student.shape[-2:] != teacher.shape[-2:]:  # where one of them does not pad its maps
                teacher = F.interpolate(teacher, student.shape[-2:], mode="bilinear", align_corners=False)
            distances.append(pearson_distance(student, teacher))
        self._features.clear()
        return {**_task_losses(losses, 1.0), _LOSS: self.weight * torch.stack(distances).mean()}


def kl_divergence(student: Tensor, teacher: Tensor, *, temperature: float) -> Tensor:
    """``T**2 * KL(softmax(teacher / T) || softmax(student / T))``, the mean over images, a scalar float32.

    With the square, gradients are as large at any temperature (Hinton et al. 2015, section 2).

    Args:
        student: Logits (B, K).
        teacher: Logits (B, K).
        temperature: T.
    """
    own, other = ((logits.float() / temperature).log_softmax(1) for logits in (student, teacher))
    return F.kl_div(own, other, log_target=True, reduction="batchmean") * temperature**2


def pearson_distance(student: Tensor, teacher: Tensor) -> Tensor:
    """One minus the Pearson correlation of each channel over images and places, the mean over channels, float32.

    It is half the mean squared difference of maps whose channels have mean 0 and variance 1 (Cao et al. 2022,
    equation 3); a channel that is constant counts 0.5.

    Args:
        student: (B, C, H, W).
        teacher: (B, C, H, W).
    """
    own, other = (_standardized(features.float()) for features in (student, teacher))
    return (own - other).square().mean() / 2


def _standardized(features: Tensor) -> Tensor:
    variance, mean = torch.var_mean(features, dim=(0, 2, 3), correction=0, keepdim=True)
    return (features - mean) / (variance + 1e-6).sqrt()


def _task_losses(losses: Mapping[str, Tensor], factor: float) -> dict[str, Tensor]:
    """The losses of the task; a single one is ``loss``, which is the name of the sum."""
    return {_TASK_LOSS if name == "loss" else name: factor * loss for name, loss in losses.items()}
