"""Settings as ``conf/`` has them, with some keys changed."""

from visionkit.config_files import read_group_file
from visionkit.data.sources.digits.scene_settings import Scenes
from visionkit.necks import NECKS
from visionkit.schema import parse, parse_typed
from visionkit.settings import Hardware


def hardware(name="cpu", **changes):
    """``hardware=NAME``."""
    return Hardware.from_config({**read_group_file("hardware", name), **changes})


def pyramid(**changes):
    """The neck of ``head=fcos``."""
    return parse_typed(NECKS, {**read_group_file("head", "fcos")["neck"], **changes}, where="neck")


def scene_settings(**changes):
    """The scenes of ``dataset=digits``."""
    return parse(Scenes, {**read_group_file("dataset", "digits")["scenes"], **changes}, where="scenes")
