"""The validated configuration of a run."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from visionkit.backbones import BackboneSpec, read_backbone
from visionkit.backbones.spec import BACKBONE_KEYS
from visionkit.data.augment.parsing import check_targets
from visionkit.data.sources import Source, check_target, parse_source
from visionkit.errors import UnknownKeyError, UserError, did_you_mean
from visionkit.heads import HeadSpec
from visionkit.heads.published_weights import check_model_weights
from visionkit.metrics.spec import MetricSpec, parse_metrics
from visionkit.registry import load, load_plugins
from visionkit.runs.folder import RunFolder
from visionkit.runs.mixing_checks import check_mixing
from visionkit.runs.objects import RunObjects, without_markers
from visionkit.runs.sharding_checks import check_sharding
from visionkit.runs.stage_checks import check_stages
from visionkit.schema import Registered, describe, parse
from visionkit.settings import CALLBACKS, CallbackSpec, Debug, Hardware, Logger, Recipe
from visionkit.tasks.info import TASKS, TaskInfo

if TYPE_CHECKING:
    from visionkit.data import VisionDataModule
    from visionkit.data.shared_cache import SharedCache

__all__ = ["RunConfig"]

_MAX_DECODED = 256
"""The images of the largest split that is decoded before a run whose batches are limited."""

_SECTIONS = ("task", "backbone", "head", "dataset", "recipe", "hardware", "logger", "debug")


@dataclass(frozen=True, kw_only=True)
class _Plugins:
    """What must be known before the other keys: it brings their choices."""

    plugins: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class _Scalars(_Plugins):
    """The keys of the whole run, outside the sections."""

    seed: Annotated[int, Field(ge=0, lt=2**32)]
    run_dir: str | None
    weights: str | None
    strict: bool
    format: Literal["text", "json"]
    callbacks: tuple[Annotated[CallbackSpec, Registered(CALLBACKS)], ...]


@dataclass(frozen=True)
class RunConfig:
    """The configuration of a run, parsed and validated without importing torch.

    Attributes:
        recipe: With the epochs and the batch size of ``debug``, where it has some.
        metrics: The metrics of the user's choice.
        callbacks: The callbacks of the user's choice.
        plain: The resolved configuration as plain mappings, lists, numbers and strings: the content of ``config.yaml``.
        objects: What a person has given in Python; ``plain`` has markers for them.
    """

    task: TaskInfo
    metrics: tuple[MetricSpec, ...]
    backbone: BackboneSpec
    head: HeadSpec
    source: Source
    recipe: Recipe
    hardware: Hardware
    logger: Logger
    debug: Debug
    seed: int
    run_dir: str | None
    weights: str | None
    plugins: tuple[str, ...]
    strict: bool
    format: Literal["text", "json"]
    callbacks: tuple[CallbackSpec, ...]
    plain: Mapping[str, Any]
    objects: RunObjects = field(default_factory=RunObjects)

    @property
    def name(self) -> str:
        """``<task>-<backbone>-<dataset>``, the name of the folder for its runs below ``runs/``."""
        return f"{self.task.name}-{self.backbone.name}-{self.source.name}"

    def datamodule(self, splits_file: Path | None, *, shared: SharedCache | None = None) -> VisionDataModule:
        """Create the `VisionDataModule` of the run.

        Args:
            splits_file: Stores a split that the source makes at random; see `visionkit.data.VisionDataModule`.
            shared: The cache of data that earlier runs in this process have read.
        """
        from visionkit.data import VisionDataModule

        return VisionDataModule(
            self.source,
            target=self.task.target,
            batch_reader=load(self.task.batch_reader),
            batch_size=self.recipe.batch_size,
            seed=self.seed,
            strict=self.strict,
            splits_file=splits_file,
            shared=shared,
            max_decoded=None if self.debug.limit_batches is None else _MAX_DECODED,
            epochs=self.recipe.epochs,
        )

    def check_initial_weights(self) -> None:
        """Check the initial weights of the run.

        Raises:
            UserError: If they do not exist, or those of the backbone and of the whole model exclude each other.
        """
        check_model_weights(self.backbone, self.head, self.weights)

    @classmethod
    def from_plain(
        cls,
        plain: Mapping[str, Any],
        *,
        check_data: bool = True,
        verb_keys: Collection[str] = (),
        objects: RunObjects | None = None,
    ) -> RunConfig:
        """Parse and validate a resolved configuration.

        Args:
            plain: All sections and all keys of the whole run.
            check_data: Whether to check the files of the data set, and head and backbone against its classes and sizes.
            verb_keys: Options of the verb, which are suggested for an unknown key too.
            objects: What a person has given in Python, in the place of what the configuration says or marks.

        Raises:
            UserError: For the first key that is unknown or missing, or value that is wrong or does not fit another.
        """
        try:
            return cls._parse(plain, check_data=check_data, verb_keys=verb_keys, objects=objects or RunObjects())
        except UnknownKeyError as error:
            raise _with_place(error, plain) from error.__cause__

    @classmethod
    def _parse(
        cls, plain: Mapping[str, Any], *, check_data: bool, verb_keys: Collection[str], objects: RunObjects
    ) -> RunConfig:
        _check_keys(plain, verb_keys)
        objects.check_present(plain, predicts=not check_data)
        plain = objects.marked(_resolve_latest(plain))
        load_plugins(parse(_Plugins, {"plugins": plain["plugins"]}, where="").plugins)
        scalars = parse(_Scalars, {k: v for k, v in plain.items() if k not in _SECTIONS}, where="")
        _check_callbacks(scalars.callbacks)
        task, metrics = _parse_task(without_markers(plain))
        source = parse_source(plain["dataset"])
        if objects.datasets:
            source = source.with_datasets(objects.datasets)  # type: ignore[attr-defined]
        check_target(source.name, task.name, task.target)
        debug = Debug.from_config(plain["debug"])
        source = source.for_target(task.target)
        source = source if debug.compare_contents else source.without_contents()
        source.check_balance(task.target)
        check_targets(source.augment, where="dataset.augment", targets=(task.target,))
        head = objects.parse_head(plain["head"], task=task.name)
        recipe = Recipe.from_config(plain["recipe"])
        check_mixing(recipe.mix, task, head)
        hardware = Hardware.from_config(plain["hardware"])
        logger = Logger.from_config(plain["logger"])
        check_sharding(recipe, hardware)
        recipe = debug.shorten(recipe, hardware)
        backbone = head.adapt_backbone(read_backbone(plain["backbone"]))
        check_stages(recipe, hardware, backbone, head)
        if check_data:
            source.check(strict=scalars.strict)
            info = source.info()
            backbone = head.adapt_backbone(read_backbone(plain["backbone"], in_channels=info.in_channels))
            head.check(num_classes=info.num_classes)
            check_mixing(recipe.mix, task, head, num_classes=info.num_classes)
            head.trace(backbone, num_classes=info.num_classes, image_size=info.image_size)
            if objects:
                from visionkit.runs.object_checks import check_objects

                check_objects(objects, task, head, backbone, info)
        return cls(
            task=task,
            metrics=objects.parse_metrics(metrics),
            backbone=backbone,
            head=head,
            source=source,
            recipe=recipe,
            hardware=hardware,
            logger=logger,
            debug=debug,
            plain=plain,
            objects=objects,
            **vars(scalars),
        )


def _resolve_latest(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Replace ``run:latest`` of weights, and ``run: latest`` of a teacher, by that folder: the run can be repeated."""

    def with_folder(section: Any) -> Any:
        if not isinstance(section, Mapping) or section.get("weights") != "run:latest":
            return section
        return {**section, "weights": f"run:{RunFolder.open('latest').path}"}

    recipe: Any = plain["recipe"]
    teacher = recipe.get("teacher") if isinstance(recipe, Mapping) else None
    if isinstance(teacher, Mapping) and teacher.get("run") == "latest":
        teacher = {**teacher, "run": str(RunFolder.open("latest").path)}
        plain = {**plain, "recipe": {**recipe, "teacher": teacher}}
    return with_folder({**plain, "backbone": with_folder(plain["backbone"])})  # type: ignore[no-any-return]


def _check_keys(plain: Mapping[str, Any], verb_keys: Collection[str]) -> None:
    valid_keys = [*_SECTIONS, *_Scalars.__dataclass_fields__]
    for key in plain:
        if key not in valid_keys:
            hint = (
                f" Did you mean 'backbone.{key}'?"
                if key in BACKBONE_KEYS
                else did_you_mean(key, [*valid_keys, *verb_keys])
            )
            raise UnknownKeyError(str(key), parent="", known=valid_keys, suggestion=hint)
    for key in valid_keys:
        if key not in plain:
            raise UserError(f"the configuration has no '{key}'. Expected the keys {', '.join(valid_keys)}.")


def _with_place(error: UnknownKeyError, plain: Mapping[str, Any]) -> UnknownKeyError:
    """The error with the place where a key of that name is known, if there are one or two."""
    found = _places(error.key.lower(), plain)
    places = [place for place in found if place.count(".") == 1 or "stages" not in place]
    section = error.parent.partition(" ")[0]  # a backbone's parent has its name too: "backbone lenet"
    places = [place for place in places if place != f"{section}.{error.key}"]
    if not 1 <= len(places) <= 2:
        return error
    meant = " or ".join(f"'{place}'" for place in places)
    return error.suggesting(f" Did you mean {meant}?")


def _places(key: str, node: Any, path: str = "") -> Iterator[str]:
    """The dotted places of a configuration at which a key lies."""
    for name, value in node.items() if isinstance(node, Mapping) else ():
        if name == key and path:
            yield f"{path}{name}"
        yield from _places(key, value, f"{path}{name}.")


def _check_callbacks(specs: tuple[CallbackSpec, ...]) -> None:
    names = [CALLBACKS.name_of(type(spec)) for spec in specs]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"callbacks: '{twice}' is named twice. Expected each callback once.")


def _parse_task(values: Any) -> tuple[TaskInfo, tuple[MetricSpec, ...]]:
    """The task, and the metrics that the user has chosen for it."""
    name = values.get("name") if isinstance(values, Mapping) else values
    if name not in TASKS:
        raise UserError(
            f"no task is called {describe(name)}.{did_you_mean(str(name), TASKS)} Known: {', '.join(TASKS)}."
        )
    known = ("name", "metrics")
    unknown = [key for key in values if key not in known] if isinstance(values, Mapping) else []
    if unknown:
        raise UserError(
            f"task: unknown key '{unknown[0]}'.{did_you_mean(unknown[0], known)} Known keys: name, metrics."
        )
    metrics = values.get("metrics", ()) if isinstance(values, Mapping) else ()
    return TASKS[name], parse_metrics(metrics, task=name)
