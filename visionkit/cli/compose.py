"""Composes the choices of groups into one resolved, plain mapping with Hydra."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from visionkit.backbones.files import backbone_file, load_backbone_file
from visionkit.cli.foreign_words import known_choice
from visionkit.config_files import complete, conf_folder, group_names, nested_settings, read_group_file
from visionkit.errors import UserError, did_you_mean
from visionkit.files import expand_user
from visionkit.registry import Registry, plugins_loaded

__all__ = [
    "COMPLETED_GROUPS", "REPLAY", "check_choice", "complete_group", "compose", "group_choices", "settings_of_group",
]  # fmt: skip

REPLAY = "nan"
"""The choice of ``debug`` that trains nothing: it replays a batch that a run has kept."""


def group_choices(config_dirs: Sequence[Path]) -> dict[str, list[str]]:
    """All groups and their choices, from the shipped ``conf/`` and the user's folders.

    Raises:
        UserError: If two folders have a choice of the same name, of which Hydra would silently take the first.
    """
    choices: dict[str, dict[str, Path]] = {}
    for folder in (conf_folder(), *config_dirs):
        for file in folder.glob("*/[!_]*.yaml"):
            existing = choices.setdefault(file.parent.name, {}).setdefault(file.stem, file)
            if existing != file:
                owner = (
                    "visionkit ships" if existing.is_relative_to(conf_folder()) else f"'{existing.parent.parent}' has"
                )
                raise UserError(
                    f"--config-dir: {owner} a {file.parent.name} called '{file.stem}' already. "
                    f"Rename '{file}', such as my_{file.name}."
                )
    for group in COMPLETED_GROUPS if plugins_loaded() else ():
        choices[group] |= dict.fromkeys(set(_registry(group).names()) - set(choices[group]), Path())
    order = ("task", "backbone", "head", "dataset", "recipe", "hardware", "logger", "experiment", "debug", "sweep")
    ordered = [group for group in order if group in choices]
    return {group: sorted(choices[group]) for group in [*ordered, *sorted(set(choices) - set(ordered))]}


def compose(groups: Mapping[str, str], *, config_dirs: Sequence[Path]) -> dict[str, Any]:
    """Compose the configuration of the chosen groups, with the defaults of ``conf/config.yaml`` for the others.

    Args:
        groups: Group names to choices; ``backbone`` may also be a path to a YAML file.
        config_dirs: Folders of the user's, searched in addition to ``conf/``.

    Raises:
        UserError: If a choice does not exist, trains nothing, or Hydra cannot compose the files.
    """
    if groups.get("debug") == REPLAY:
        raise UserError(
            f"debug={REPLAY} trains nothing: it replays the batch that a run has kept, in a command of its own. Type: "
            f"python -m visionkit train run=FOLDER debug={REPLAY}"
        )
    if _is_list(groups.get("logger", "")):
        names = _listed(groups["logger"])
        if len(names) > 1:
            chosen = {name: _logger_named(name, config_dirs) for name in names}
            others = {group: choice for group, choice in groups.items() if group != "logger"}
            return compose(others, config_dirs=config_dirs) | {"logger": chosen}
        groups = {**groups, "logger": names[0] if names else "none"}
    for group, choice in groups.items():
        check_choice(group, choice, config_dirs)
    groups = {group: choice for group, choice in groups.items() if (group, choice) != ("experiment", "null")}
    from_plugins = {g: c for g, c in groups.items() if g in COMPLETED_GROUPS and c not in group_names(g, config_dirs)}
    for group, choice in from_plugins.items():
        if "experiment" in groups and group != "logger":
            raise UserError(
                f"experiment={groups['experiment']} has values for its own {group}, and {group}={choice} of a plugin "
                f"would lose them. Type what is to hold: '{group}={{type: {choice}, ...}}'"
            )
    composed = _compose_with_hydra({g: c for g, c in groups.items() if g not in from_plugins}, config_dirs)
    return composed | {group: complete_group(group, choice, config_dirs) for group, choice in from_plugins.items()}


def _is_list(choice: str) -> bool:
    return choice.startswith("[") and choice.endswith("]")


def _listed(choice: str) -> list[str]:
    """The names in brackets.

    Raises:
        UserError: If one is there twice.
    """
    names = [name.strip(" '\"") for name in choice[1:-1].split(",") if name.strip()]
    duplicate = next((name for name in names if names.count(name) > 1), None)
    if duplicate is not None:
        raise UserError(f"logger: '{duplicate}' is named twice. Expected each logger once.")
    return names


def _logger_named(name: str, config_dirs: Sequence[Path]) -> dict[str, Any]:
    check_choice("logger", name, config_dirs)
    return complete_group("logger", name, config_dirs)


COMPLETED_GROUPS = ("head", "dataset", "logger")
"""Groups of which a class that a plugin has registered is a choice without a file."""


def complete_group(group: str, values: str | Mapping[str, Any], config_dirs: Sequence[Path]) -> dict[str, Any]:
    """All keys of a head or data set of which some are given; see `visionkit.config_files.complete`.

    Of several loggers, a mapping from names, those of each.
    """
    if group == "logger" and isinstance(values, Mapping) and "type" not in values:
        return {
            name: complete("logger", {"type": name, **(own or {})}, _registry(group), config_dirs)
            for name, own in values.items()
            if own is None or isinstance(own, Mapping)
        }
    return complete(group, values, _registry(group), config_dirs)


def settings_of_group(group: str, kind: Any) -> dict[str, Registry[Any] | None]:
    """The keys of a group that hold settings of their own; see `visionkit.config_files.nested_settings`."""
    if group == "recipe":
        from visionkit.settings import Recipe

        return nested_settings(Recipe)
    if group not in COMPLETED_GROUPS:
        return {}
    registry = _registry(group)
    return nested_settings(registry.get(kind)) if kind in registry.names() else {}


def _registry(group: str) -> Registry[Any]:
    if group == "head":
        from visionkit.heads import HEADS

        return HEADS
    if group == "logger":
        from visionkit.settings import LOGGERS

        return LOGGERS
    from visionkit.data.sources import SOURCES

    return SOURCES


def check_choice(group: str, choice: str, config_dirs: Sequence[Path]) -> None:
    """Check that a group has a choice.

    Raises:
        UserError: If it does not, there are several choices, or the file of a backbone cannot be read.
    """
    if group == "sweep":
        raise UserError(f"'sweep={choice}' searches with training runs. Try: python -m visionkit sweep={choice} ...")
    if "," in choice:
        names = [name.strip("[]\"' ") for name in choice.split(",")]
        raise UserError(
            f"'{group}={choice}' names several choices, and this is a single run. Give one, such as "
            f"{group}={names[0]}, or let it be a sweep: python -m visionkit -m {group}={','.join(names)}"
        )
    if "*" in choice:
        raise UserError(
            f"'{group}={choice}' is a pattern. Give one choice, or let it be a sweep of all that fit: "
            f"python -m visionkit -m '{group}=glob({choice})'"
        )
    choices = group_choices(config_dirs)[group]
    if group == "backbone":
        load_backbone_file(backbone_file(choice, config_dirs))
    elif choice not in choices and (group, choice) != ("experiment", "null"):
        meant = known_choice(group, choice)
        if meant is not None:
            raise UserError(f"no {group} is called '{choice}'. Did you mean '{meant}'? Type {group}={meant}")
        if group == "dataset" and expand_user(choice).is_dir():
            raise UserError(
                f"no dataset is called '{choice}', but a folder is. Type dataset=folder dataset.root={choice} (or "
                "coco, voc, yolo ... instead of folder, by how its annotations are written)"
            )
        hint = " One of your own is named with plugins=[your_module]." if group in COMPLETED_GROUPS else ""
        raise UserError(
            f"no {group} is called '{choice}'.{did_you_mean(choice, choices)} Known: {', '.join(choices)}.{hint}"
        )
    elif group in COMPLETED_GROUPS and choice != "null":
        complete_group(group, choice, config_dirs)
    elif group in ("recipe", "hardware", "debug"):
        read_group_file(group, choice, config_dirs)


def _compose_with_hydra(groups: dict[str, str], config_dirs: Sequence[Path]) -> dict[str, Any]:
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.core.config_store import ConfigStore
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    file = groups.get("backbone", "")
    if file.endswith((".yaml", ".yml")):
        groups["backbone"] = "from_file"
        ConfigStore.instance().store(group="backbone", name="from_file", node=load_backbone_file(Path(file)))
    overrides = [f"{group}={choice}" for group, choice in groups.items()]
    if config_dirs:
        folders = ",".join(f"'file://{folder.resolve()}'" for folder in config_dirs)
        overrides.append(f"hydra.searchpath=[{folders}]")
    state = GlobalHydra.instance()
    callers, state.hydra = state.hydra, None  # of a program that composes with Hydra itself
    try:
        with initialize_config_dir(config_dir=str(conf_folder()), version_base="1.3"):
            config = hydra_compose(config_name="config", overrides=overrides)
        resolved = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except (HydraException, OmegaConfBaseException, YAMLError) as error:
        raise UserError(f"the configuration does not hold together: {str(error).strip()}") from None
    finally:
        GlobalHydra.instance().hydra = callers  # another instance than before: Hydra restores a copy
    assert isinstance(resolved, dict)
    return {str(key): value for key, value in resolved.items()}
