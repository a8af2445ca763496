"""Hydra's flags do what Hydra's documentation says, or say what to type instead."""

from pathlib import Path

import pytest

from visionkit.cli.flags import parse_command_line
from visionkit.errors import UserError


@pytest.mark.parametrize(
    ("words", "attribute", "value"),
    [
        (["-h"], "help", True),
        (["--hydra-help"], "hydra_help", True),
        (["-m", "seed=0,1"], "multirun", True),
        (["--multirun"], "multirun", True),
        (["-r"], "multirun", False),
        (["-c", "job", "--resolve"], "cfg", "job"),
        (["--cfg=all"], "cfg", "all"),
        (["--cfg", "job", "-p", "recipe"], "package", "recipe"),
        (["-i"], "info", "all"),
        (["-i", "defaults-tree"], "info", "defaults-tree"),
        (["--info=plugins"], "info", "plugins"),
        (["--info", "seed=1"], "arguments", ["seed=1"]),
        (["-cd", "/"], "config_dirs", [Path("/")]),
        (["-sc", "install=bash"], "completion", "install=bash"),
        (["--shell-completion"], "completion", "nothing"),
        (["--version", "x"], "verb", "version"),
        (["evaluate", "run=x"], "verb", "evaluate"),
        (["hydra.run.dir=a", "++seed=1"], "arguments", ["run_dir=a", "++seed=1"]),
        (["-m", "hydra.sweep.dir=a"], "arguments", ["run_dir=a"]),
    ],
)
def test_a_flag_is_read(words, attribute, value):
    assert getattr(parse_command_line(words), attribute) == value


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-m", "--cfg", "job"], "--multirun and --cfg: each says what to do"),
        (["--cfg", "job", "--info"], "--cfg and --info: each says what to do"),
        (["-r", "-m"], "--run and --multirun: each says what to do"),
        (["--resolve"], "Try: --cfg job --resolve"),
        (["-p", "recipe"], "Try: --cfg job --package recipe"),
        (["--cfg", "job", "-p"], "--package: no part is named"),
        (["--cfg"], "Expected one of job, hydra, all"),
        (["--info=x"], "Expected one of all, config, defaults, defaults-tree, plugins, searchpath"),
        (["-cd"], "--config-dir: no folder is named. Try: --config-dir FOLDER"),
        (["-cd", "nowhere"], "--config-dir: there is no folder 'nowhere'"),
        (["--cfg"], "--cfg: nothing stands behind it"),
        (["-cp", "x"], "--config-path: conf/ of visionkit is always read"),
        (["-cn", "x"], "chosen by --config-dir FOLDER experiment=NAME"),
        (["--experimental-rerun", "x"], "train run=FOLDER"),
        (["--multirun=true"], "--multirun takes no value, and 'true' is given"),
        (["backbone@a=lenet"], "'@' moves none. Type backbone=lenet"),
        (["+backbone@a:b=lenet"], "'@' moves none. Type backbone=lenet"),
        (["seed=1", "hydra.run.dir=a", "run_dir=b"], "'run_dir' is given twice"),
    ],
)
def test_what_a_flag_cannot_do_is_told(words, message):
    with pytest.raises(UserError) as error:
        parse_command_line(words)
    assert message in str(error.value)
