"""Loggers besides the files of the run folder: the group ``logger``."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, ClassVar, Literal

from visionkit.errors import UserError
from visionkit.registry import Registry
from visionkit.schema import describe, parse_typed

__all__ = ["LOGGERS", "Logger", "Mlflow", "NoLogger", "SeveralLoggers", "TensorBoard", "Wandb"]


@dataclass(frozen=True, kw_only=True)
class Logger:
    """Where metrics are logged besides the files of the run folder: the group ``logger``.

    Attributes:
        packages: Of these importable names one must be installed; none are needed if it is empty.
    """

    packages: ClassVar[tuple[str, ...]] = ()

    @staticmethod
    def from_config(values: Any) -> "Logger":
        """Read the group: one logger with its ``type``, or several by their names.

        Raises:
            UserError: For an unknown logger, a wrong key or value, or a logger whose package is not installed.
        """
        if not isinstance(values, Mapping) or "type" in values:
            return _read(values, where="logger")
        if not values or not all(isinstance(value, Mapping) for value in values.values()):
            raise UserError(
                f"logger: found {describe(values)}. Expected one logger, or several by name. Try: logger=tensorboard, "
                "or logger=[tensorboard,mlflow]"
            )
        return SeveralLoggers(loggers={key: _read(value, where=f"logger.{key}") for key, value in values.items()})


LOGGERS: Registry[Logger] = Registry("logger", base=Logger)
"""Each class names a function from it and the run's folder to a Lightning logger, or to False for none."""


def _read(values: Any, *, where: str) -> Logger:
    logger = parse_typed(LOGGERS, values, where=where)
    if logger.packages and not any(map(find_spec, logger.packages)):
        raise UserError(
            f"logger={LOGGERS.name_of(type(logger))} needs a package that is not installed. "
            f"Try: pip install {logger.packages[0]}, or logger=none"
        )
    return logger


@dataclass(frozen=True, kw_only=True)
class SeveralLoggers(Logger):
    """Several loggers at once.

    Attributes:
        loggers: Each by its name.
    """

    loggers: Mapping[str, Logger]


@LOGGERS.register("none", module="visionkit.training.loggers:no_logger")
@dataclass(frozen=True, kw_only=True)
class NoLogger(Logger):
    """The files of the run folder alone."""


@LOGGERS.register("tensorboard", module="visionkit.training.loggers:tensorboard_logger")
@dataclass(frozen=True, kw_only=True)
class TensorBoard(Logger):
    """Event files in ``tensorboard/``."""

    packages: ClassVar[tuple[str, ...]] = ("tensorboard", "tensorboardX")


@LOGGERS.register("wandb", module="visionkit.training.loggers:wandb_logger")
@dataclass(frozen=True, kw_only=True)
class Wandb(Logger):
    """Weights & Biases: files in ``wandb/``, which ``wandb sync`` sends; with ``mode: online`` they are sent at once.

    Attributes:
        project: The project there.
        entity: The account or team there; None for that of the login.
        mode: ``offline`` makes no call to the network.
    """

    packages: ClassVar[tuple[str, ...]] = ("wandb",)

    project: str
    entity: str | None
    mode: Literal["offline", "online"]


@LOGGERS.register("mlflow", module="visionkit.training.loggers:mlflow_logger")
@dataclass(frozen=True, kw_only=True)
class Mlflow(Logger):
    """MLflow.

    Attributes:
        experiment: The experiment that the run belongs to.
        uri: Where it is stored: a database, such as ``sqlite:///mlflow.db``, or a server; None for files in
            ``mlflow/``.
    """

    packages: ClassVar[tuple[str, ...]] = ("mlflow",)

    experiment: str
    uri: str | None
