"""Settings as ``conf/`` has them, with some keys changed."""

import yaml

from tests.helpers.paths import CONF
from visionkit.settings import Hardware


def read_group(group, name):
    """The mapping of ``conf/GROUP/NAME.yaml``."""
    return yaml.safe_load((CONF / group / f"{name}.yaml").read_text(encoding="utf-8"))


def hardware(name="cpu", **changes):
    """``hardware=NAME``."""
    return Hardware.from_config({**read_group("hardware", name), **changes})
