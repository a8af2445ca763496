"""The text of ``--help``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from visionkit.cli.verbs import VERBS

__all__ = ["help_text", "hydra_help_text"]

_KEYS_HELP = """\
Values (key=value; a key below a group is dotted):
  recipe.epochs=20 recipe.batch_size=64 recipe.lr=0.05 recipe.optimizer.weight_decay=0
  dataset.root=FOLDER dataset.image_size=64 dataset.download=true dataset.num_workers=2
  hardware.accelerator=cpu hardware.precision=bf16 hardware.compile=true
  backbone.stages.c1.conv.kernel_size=3 '~backbone.stages.c1.pool' backbone=my_net.yaml
  seed=1 run_dir=FOLDER strict=true plugins=[my_module] format=json
Sweeps of training runs, a folder each, with one table in the end:
  -m backbone=lenet,resnet20 seed=0,1 run_dir=sweeps/a    every combination; also range(1,5), choice(a,b), glob(resnet*)
  resume=true (what is left of it)    hydra/launcher=joblib hydra.launcher.n_jobs=2 (side by side)
  sweep=optuna sweep.trials=20 recipe.lr='tag(log,interval(0.001,0.1))'    values are drawn; poor runs end early
Flags: -m, --help, --version, --config-dir FOLDER (your own groups beside the shipped ones),
  --cfg job and --info (what would run), --shell-completion install=bash
Exit codes: 0 done, 2 something you can mend, 1 a fault of visionkit, 130 interrupted, 143 terminated"""


def help_text(verb: str, choices: Mapping[str, Sequence[str]]) -> str:
    """The help of one verb.

    Args:
        verb: A key of `VERBS`.
        choices: Group names to their choices.
    """
    described = VERBS[verb]
    lines = [
        "usage: python -m visionkit [VERB] [GROUP=CHOICE] [KEY=VALUE]",
        "",
        *(f"  {name:<9} {listed.summary}" for name, listed in VERBS.items()),
        "",
        f"{verb}: {described.summary}",
        *(f"  {key + '=':<13} {meaning}" for key, meaning in described.options.items()),
        "",
        "Groups and choices:",
        *(f"  {group:<11} {_abbreviate(names)}" for group, names in choices.items()),
        "",
        _KEYS_HELP,
        "",
        "Examples:",
        *(f"  {example}" for example in described.examples),
    ]
    return "\n".join(lines)


_HYDRA_HELP = """\
Hydra's flags, and what they do here:
  --help, -h             the verbs, their keys, the groups and their choices
  --version              visionkit's version
  --cfg, -c job          the configuration of the command as YAML; with --package, -p recipe a part of it
  --resolve              nothing is left to resolve: the configuration is always shown with its values
  --info, -i [TOPIC]     all, config, defaults, defaults-tree, plugins or searchpath: what the configuration is made of
  --run, -r              a single run, as without it
  --multirun, -m         a sweep: every combination of values such as seed=0,1
  --config-dir, -cd DIR  groups of your own, a folder each, beside visionkit's
  --config-path, -cp     not taken: conf/ of visionkit is always read; see --config-dir
  --config-name, -cn     not taken: there is one config.yaml; values that belong together are experiment=NAME
  --shell-completion, -sc install=bash (or zsh, fish)
Overrides:
  key=value  ++key=value  sets a value             +key=value  sets one that is not there yet
  ~key  ~key=value        takes one away           group=choice  chooses (~group is not taken: none is empty)
  group@package=choice    not taken: each group has its own place
  a,b  choice(a,b)  range(1,5)  glob(resnet*)      several values, with -m;  interval(0.1,1) with sweep=optuna
Of Hydra's own keys: hydra.run.dir and hydra.sweep.dir mean run_dir; hydra/launcher and hydra.launcher.n_jobs with -m
For a run with the place that each value comes from: python -m visionkit config ..."""


def hydra_help_text() -> str:
    """The text of ``--hydra-help``: what Hydra's flags and its grammar do here."""
    return _HYDRA_HELP


def _abbreviate(names: Sequence[str], limit: int = 12) -> str:
    more = f" ... ({len(names)} in all: python -m visionkit list)" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
