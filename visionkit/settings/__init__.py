"""Schemas of the groups ``recipe``, ``hardware``, ``logger`` and ``debug``, and of ``callbacks``.

All default values are in ``conf/``, but those of callbacks, which have no file.
"""

from visionkit.settings.averaging import Ema
from visionkit.settings.callbacks import CALLBACKS, CallbackSpec
from visionkit.settings.debug import Debug
from visionkit.settings.durations import Duration, describe_duration
from visionkit.settings.hardware import Hardware
from visionkit.settings.loggers import LOGGERS, Logger, Mlflow, NoLogger, SeveralLoggers, TensorBoard, Wandb
from visionkit.settings.mixing import Mix
from visionkit.settings.optimizers import OPTIMIZERS, Adam, AdamW, Muon, Optimizer, Sgd
from visionkit.settings.recipe import EarlyStopping, Recipe
from visionkit.settings.saving import SaveInterval
from visionkit.settings.schedules import (
    SCHEDULES,
    Constant,
    Cosine,
    OneCycle,
    Poly,
    Schedule,
    ShippedSchedule,
    Step,
)

__all__ = [
    "CALLBACKS",
    "LOGGERS",
    "OPTIMIZERS",
    "SCHEDULES",
    "Adam",
    "AdamW",
    "CallbackSpec",
    "Constant",
    "Cosine",
    "Debug",
    "Duration",
    "EarlyStopping",
    "Ema",
    "Hardware",
    "Logger",
    "Muon",
    "Mix",
    "Mlflow",
    "NoLogger",
    "OneCycle",
    "Optimizer",
    "Poly",
    "Recipe",
    "SaveInterval",
    "Schedule",
    "SeveralLoggers",
    "Sgd",
    "ShippedSchedule",
    "Step",
    "TensorBoard",
    "describe_duration",
    "Wandb",
]
