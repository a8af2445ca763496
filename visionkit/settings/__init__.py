"""Schemas of the groups ``recipe``, ``hardware``, ``logger`` and ``debug``, and of ``callbacks``.

All default values are in ``conf/``, but those of callbacks, which have no file.
"""

from visionkit.settings.callbacks import CALLBACKS, CallbackSpec
from visionkit.settings.debug import Debug
from visionkit.settings.hardware import Hardware
from visionkit.settings.loggers import LOGGERS, Logger, Mlflow, NoLogger, SeveralLoggers, TensorBoard, Wandb
from visionkit.settings.optimizers import OPTIMIZERS, Adam, AdamW, Optimizer, Sgd
from visionkit.settings.recipe import EarlyStopping, Recipe
from visionkit.settings.schedules import SCHEDULES, Constant, Cosine, OneCycle, Schedule, ShippedSchedule, Step

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
    "EarlyStopping",
    "Hardware",
    "Logger",
    "Mlflow",
    "NoLogger",
    "OneCycle",
    "Optimizer",
    "Recipe",
    "Schedule",
    "SeveralLoggers",
    "Sgd",
    "ShippedSchedule",
    "Step",
    "TensorBoard",
    "Wandb",
]
