"""The teacher of a training, loaded and checked: ``recipe.teacher``."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from visionkit.errors import UserError
from visionkit.runs.folder import RunFolder
from visionkit.schema import describe
from visionkit.tasks.distillation import Distillation, FeatureDistillation, LogitDistillation

if TYPE_CHECKING:
    from visionkit.runs.config import RunConfig
    from visionkit.settings.teacher import Teacher

__all__ = ["check_same_teacher", "make_distillation"]

_CLASSIFY = "classify"


def make_distillation(config: RunConfig, data: Mapping[str, Any], model: Any) -> Distillation | None:
    """What the recipe has learnt of a teacher; None without one.

    Args:
        config: The configuration of the student.
        data: The content of its ``data.json``.
        model: The student, a `visionkit.models.VisionModel`.

    Raises:
        UserError: If there is no such teacher, it is of another task, or of other classes, channels or pixel values, or
            has no map in common with the student.
    """
    settings = config.recipe.teacher
    if settings is None:
        return None
    if config.task.name == _CLASSIFY and settings.weight > 1:
        raise UserError(
            f"recipe.teacher.weight: found {settings.weight:g}. Expected a share of the loss, above 0 and at most 1: "
            "the classes of the images have the rest. Try: recipe.teacher.weight=0.5"
        )
    with torch.random.fork_rng(devices=[]):  # what is drawn for it must change nothing of the run
        if settings.run is not None:
            teacher, names = _teacher_of_run(settings.run, config, data)
        else:
            teacher, names = _published_teacher(settings, config, data)
    identity = _hash(teacher)
    try:
        _try_out(teacher, data)
    except (ValueError, RuntimeError) as error:
        raise UserError(f"recipe.teacher: it does not take the images of this run: {error}") from error
    if config.task.name == _CLASSIFY:
        order = _class_order(names, data["class_names"])
        return LogitDistillation(
            teacher, weight=settings.weight, identity=identity, temperature=settings.temperature, class_order=order
        )
    maps = _common_maps(model.backbone.feature_info, teacher.backbone.feature_info)
    features = _Features(teacher.normalize, teacher.backbone)
    return FeatureDistillation(features, weight=settings.weight, identity=identity, maps=maps, seed=config.seed).watch(
        model.backbone
    )


def check_same_teacher(recorded: Any, distillation: Distillation | None) -> None:
    """Check that a resumed run has the teacher that it had.

    Args:
        recorded: What the checkpoint says of it.
        distillation: Of the run that goes on.

    Raises:
        UserError: If the weights of the teacher are others.
    """
    if distillation is not None and recorded != distillation.identity:
        raise UserError(
            "recipe.teacher: its weights are not those that the run has learnt from so far. Expected the same teacher. "
            "Put its folder back, or say where it lies: recipe.teacher.run=FOLDER"
        )


class _Features(nn.Module):
    """Images as a model normalises them, and the maps of its backbone."""

    def __init__(self, normalize: nn.Module, backbone: nn.Module) -> None:
        super().__init__()
        self.normalize, self.backbone = normalize, backbone

    def forward(self, images: Tensor, image_sizes: Tensor | None = None) -> Any:
        return self.backbone(self.normalize(images, image_sizes))


def _teacher_of_run(path: str, config: RunConfig, data: Mapping[str, Any]) -> tuple[Any, Sequence[str]]:
    from visionkit.runs.checkpoint import load_run_model, read_data_info

    folder = RunFolder.open(path)
    plain, info = folder.read_config(), read_data_info(folder)
    plugins = [name for name in plain.get("plugins") or [] if name not in config.plugins]
    if plugins:
        names = f"plugins=[{','.join(map(str, [*config.plugins, *plugins]))}]"
        raise UserError(
            f"recipe.teacher.run: '{path}' was made with plugins, and a run folder's code is never run unasked. If you "
            f"trust it, add: {names}"
        )
    task = plain["task"].get("name") if isinstance(plain["task"], Mapping) else plain["task"]
    if task != config.task.name:
        raise UserError(
            f"recipe.teacher.run: '{path}' is a run of task {task}, and this one is of {config.task.name}. Expected a "
            f"teacher of the same task: a folder below runs/ whose name begins with {config.task.name}-"
        )
    for key in ("in_channels", "value_range"):
        if info.get(key) != data.get(key):
            raise UserError(
                f"recipe.teacher.run: '{path}' was trained with {key} {describe(info.get(key))}, and the images here "
                f"have {describe(data.get(key))}. Expected a teacher that sees the same images"
            )
    return load_run_model(folder), info["class_names"]


def _published_teacher(settings: Teacher, config: RunConfig, data: Mapping[str, Any]) -> tuple[Any, Sequence[str]]:
    from visionkit.backbones import read_backbone
    from visionkit.models.create import create_model

    name, weights = str(settings.backbone), str(settings.weights)
    spec = read_backbone(name)
    if spec.in_channels != data["in_channels"]:
        raise UserError(
            f"recipe.teacher: {name} takes images of {spec.in_channels} channels, and these have "
            f"{data['in_channels']}. Expected a teacher that sees the same images"
        )
    if config.task.name == _CLASSIFY:
        names = _published_classes(weights, data["class_names"])
        return create_model(_CLASSIFY, name, num_classes=len(names), weights=weights), names
    from visionkit.backbones import create_backbone
    from visionkit.backbones.weights.load import load_backbone_weights
    from visionkit.models.normalize import Normalize

    backbone = create_backbone(name)
    loaded = load_backbone_weights(backbone, weights)
    mean, std = loaded.mean_std or (data["mean"], data["std"])
    return _Features(Normalize(mean, std), backbone), ()


def _published_classes(weights: str, class_names: Sequence[str]) -> Sequence[str]:
    from visionkit.data.sources.imagenet.source import class_names as imagenet_names

    names = imagenet_names()
    if not weights.startswith("imagenet") or list(class_names) != list(names):
        raise UserError(
            f"recipe.teacher: weights={weights} tell ImageNet's 1000 classes apart, and these data have "
            f"{len(class_names)}: {', '.join(class_names[:3])} ... Expected a teacher of the same classes: train one, "
            "and name its run: 'recipe.teacher={run: FOLDER, temperature: 4.0, weight: 0.5}'"
        )
    return names


def _class_order(teacher: Sequence[str], student: Sequence[str]) -> list[int] | None:
    """For each class of the student its index in the teacher's outputs; None where they have the same order.

    Raises:
        UserError: If one has a class that the other has not.
    """
    if list(teacher) == list(student):
        return None
    if sorted(teacher) == sorted(student) and len(set(student)) == len(student):
        return [list(teacher).index(name) for name in student]
    only = [("the teacher", sorted(set(teacher) - set(student))), ("this run", sorted(set(student) - set(teacher)))]
    differences = "; ".join(f"{who} alone has {', '.join(names[:5])}" for who, names in only if names)
    raise UserError(
        f"recipe.teacher: it tells {len(teacher)} classes apart, and this run {len(student)}: "
        f"{differences or 'names are there twice'}. Expected a teacher of the same classes"
    )


def _common_maps(student: Mapping[str, Any], teacher: Mapping[str, Any]) -> dict[int, Any]:
    """For each stride that both have the deepest map of each, as (name, channels)."""
    own, other = ({info.stride: (name, info.channels) for name, info in maps.items()} for maps in (student, teacher))
    common = {stride: (own[stride], other[stride]) for stride in own if stride in other}
    if not common:
        raise UserError(
            f"recipe.teacher: its maps have strides {sorted(other)}, and the student's {sorted(own)}. Expected one "
            "stride at least that both have. Try a teacher with the same head, or of the same family"
        )
    return common


def _try_out(teacher: Any, data: Mapping[str, Any]) -> None:
    with torch.inference_mode():
        teacher.eval()(torch.zeros((1, data["in_channels"], *data["image_size"]), dtype=torch.uint8))


def _hash(module: nn.Module) -> str:
    """SHA-256 of the names and values of a state."""
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
