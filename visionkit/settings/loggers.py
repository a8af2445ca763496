"""Loggers besides the files of the run folder: the group ``logger``."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, ClassVar

from visionkit.errors import UserError
from visionkit.registry import Registry
from visionkit.schema import parse_typed

__all__ = ["LOGGERS", "Logger", "NoLogger", "TensorBoard"]


@dataclass(frozen=True, kw_only=True)
class Logger:
    """Where metrics are logged besides the files of the run folder: the group ``logger``.

    Attributes:
        packages: Of these importable names one must be installed; none are needed if it is empty.
    """

    packages: ClassVar[tuple[str, ...]] = ()

    @staticmethod
    def from_config(values: Mapping[str, Any]) -> "Logger":
        """Read the group.

        Raises:
            UserError: For an unknown logger, a wrong key or value, or a logger whose package is not installed.
        """
        logger = parse_typed(LOGGERS, values, where="logger")
        if logger.packages and not any(map(find_spec, logger.packages)):
            raise UserError(
                f"logger={LOGGERS.name_of(type(logger))} needs a package that is not installed. "
                f"Try: pip install {logger.packages[0]}, or logger=none"
            )
        return logger


LOGGERS: Registry[Logger] = Registry("logger", base=Logger)
"""Each class names a function from it and the run's folder to a Lightning logger, or to False for none."""


@LOGGERS.register("none", module="visionkit.training.loggers:no_logger")
@dataclass(frozen=True, kw_only=True)
class NoLogger(Logger):
    """The files of the run folder alone."""


@LOGGERS.register("tensorboard", module="visionkit.training.loggers:tensorboard_logger")
@dataclass(frozen=True, kw_only=True)
class TensorBoard(Logger):
    """Event files in ``tensorboard/``."""

    packages: ClassVar[tuple[str, ...]] = ("tensorboard", "tensorboardX")
