"""The verbs for Python: words and keywords are composed as the command line does, and the same rooms are called.

Words are those of a command, such as ``"task=detect"``; a keyword is one of its keys with a plain value, as in
``recipe={"epochs": 5}`` or ``seed=1``.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from visionkit.errors import ExitCode, Outcome, UserError
from visionkit.os_errors import explain_os_errors

if TYPE_CHECKING:
    from visionkit.console import Printer
    from visionkit.data import VisionDataModule
    from visionkit.inference.predictor import Predictor
    from visionkit.inspection.inspection import Inspection
    from visionkit.metrics.evaluation import Evaluation
    from visionkit.runs.run import Run
    from visionkit.sweeps.result import Sweep
    from visionkit.tasks.base import VisionTask

__all__ = ["build", "evaluate", "inspect", "load", "sweep", "train"]

ConfigDir = str | os.PathLike[str]
ResultT = TypeVar("ResultT")


@explain_os_errors()
def train(
    *words: str,
    callbacks: Sequence[Any] = (),
    logger: Any = None,
    progress: bool = True,
    config_dir: ConfigDir | None = None,
    **keywords: Any,
) -> Run:
    """Train a model, test its best epoch, and write both to a run folder, as the command ``train`` does.

    Args:
        *words: Such as ``"task=detect"`` or ``"recipe.epochs=5"``.
        callbacks: Lightning callbacks, called after the run's own; a mapping such as ``{"type": "timer", ...}`` is one
            that the configuration knows.
        logger: The name of a logger or several, a Lightning logger or several, or False.
        progress: Whether the training is shown while it goes on; ``log.txt`` has it in any case.
        config_dir: A folder of your own with groups, as of ``--config-dir``.
        **keywords: Keys of the configuration, and ``run`` and ``resume``. ``head``, ``loss``, ``metrics`` and
            ``dataset`` may be objects, see `visionkit.runs.objects.RunObjects`; a run with objects needs them again
            when it is repeated, resumed or measured.

    Returns:
        The run. After Ctrl-C it has its last checkpoint, and KeyboardInterrupt is raised.

    Raises:
        UserError: For what the command ends with exit code 2 for.
        ProcessError: If one of several processes failed.
    """
    from visionkit.cli.given_objects import is_logger_name, take_objects
    from visionkit.cli.keywords import config_folders, parse_call
    from visionkit.cli.verb_configs import compose_training
    from visionkit.commands.train import train as train_command
    from visionkit.runs.run import Run
    from visionkit.training.caller_state import keep_caller_state

    if not isinstance(callbacks, list | tuple):
        raise UserError(f"callbacks: found a {type(callbacks).__name__}. Expected a list: callbacks=[...]")
    configured = [callback for callback in callbacks if isinstance(callback, dict)]
    keywords |= {"callbacks": configured} if configured else {}
    is_named = is_logger_name(logger)
    keywords |= {"logger": list(logger) if isinstance(logger, tuple) else logger} if is_named else {}
    objects, folders = take_objects(keywords), config_folders(config_dir)
    found = compose_training(parse_call("train", words, keywords, folders), folders)
    with keep_caller_state():
        outcome = train_command(
            found.plain, resume_from=found.resume_from, auto=found.auto, objects=objects, printer=_printer(progress),
            callbacks=[callback for callback in callbacks if not isinstance(callback, dict)],
            logger=None if is_named else logger,
        )  # fmt: skip
    return Run(_result_of(outcome))


@explain_os_errors()
def evaluate(
    run: Any,
    *words: str,
    split: Literal["train", "val", "test"] | None = None,
    engine: Literal["eager", "onnx", "onnx-int8"] | None = None,
    progress: bool = False,
    **keywords: Any,
) -> Evaluation:
    """Measure a run's best epoch again, as the command ``evaluate`` does.

    Args:
        run: A `Run`, its folder, or ``"latest"``.
        *words: Of what may differ from the run, such as ``"hardware=cpu"``.
        split: None for the split of the run's own test.
        engine: ``"onnx"`` or ``"onnx-int8"`` for the run's exported file, on the CPU and without losses.
        progress: Whether the table is printed too.
        **keywords: As the words, such as ``dataset={"root": "photos2"}``, and the objects that the run was made with.

    Returns:
        ``scalars``, such as ``test/accuracy``, and ``tables``.

    Raises:
        UserError: For what the command ends with exit code 2 for.
        ProcessError: If one of several processes failed.
    """
    from visionkit.cli.given_objects import changed_settings, take_objects
    from visionkit.cli.keywords import parse_call
    from visionkit.cli.verb_configs import compose_stored_run, evaluate_options
    from visionkit.commands.evaluate import evaluate as evaluate_command
    from visionkit.runs.opening import run_folder
    from visionkit.training.caller_state import keep_caller_state

    objects = take_objects(keywords)
    of_run = run_folder(run, verb="evaluate")
    if objects.datasets:
        keywords["dataset"] = changed_settings(keywords["dataset"], of_run.read_config())
    options = {key: value for key, value in (("split", split), ("engine", engine)) if value is not None}
    parsed = parse_call("evaluate", words, {"run": of_run.path, **options, **keywords})
    plain, folder = compose_stored_run(parsed, (), verb="evaluate")
    chosen = evaluate_options(parsed)
    with keep_caller_state():
        outcome = evaluate_command(plain, folder, **chosen, objects=objects, printer=_printer(progress))
    return _result_of(outcome)


@explain_os_errors()
def inspect(*words: str, config_dir: ConfigDir | None = None, **keywords: Any) -> Inspection | list[Inspection]:
    """Layers, sizes, costs and memory of a network, without building it, as the command ``inspect`` does.

    Args:
        *words: Such as ``"backbone=resnet50"`` or ``"num_classes=10"``.
        config_dir: A folder of your own with groups, as of ``--config-dir``.
        **keywords: The same; ``backbone`` may be a list.

    Returns:
        One inspection, with ``layers`` and ``totals``; a list if several backbones are named.

    Raises:
        UserError: For what the command ends with exit code 2 for.
    """
    from visionkit.cli.keywords import config_folders, parse_call
    from visionkit.cli.verb_configs import compose_networks
    from visionkit.commands.inspect import inspect_networks

    backbones = keywords.get("backbone")
    if isinstance(backbones, list | tuple):
        keywords = {**keywords, "backbone": ",".join(map(str, backbones))}
    folders = config_folders(config_dir)
    configs, options, use_dataset = compose_networks(parse_call("inspect", words, keywords, folders), folders)
    inspections, _ = inspect_networks(configs, options, use_dataset=use_dataset)
    return inspections[0] if len(inspections) == 1 else inspections


@explain_os_errors()
def build(*words: str, config_dir: ConfigDir | None = None, **keywords: Any) -> tuple[VisionTask, VisionDataModule]:
    """What `train` trains and its data, for a `lightning.Trainer` of your own.

    With the same epochs, precision and gradient clipping the numbers are those of `train`.

    Args:
        *words: As of `train`.
        config_dir: A folder of your own with groups, as of ``--config-dir``.
        **keywords: As of `train`; with ``run``, the configuration is that of the run.

    Returns:
        The LightningModule, with the weights that a training begins with, and the LightningDataModule.

    Raises:
        UserError: For what the command ``train`` ends with exit code 2 for.
    """
    from visionkit.cli.given_objects import take_objects
    from visionkit.cli.keywords import config_folders, parse_call
    from visionkit.cli.verb_configs import compose_training
    from visionkit.runs.config import RunConfig
    from visionkit.training.build import build_task_and_data
    from visionkit.training.caller_state import plain_torch

    objects, folders = take_objects(keywords), config_folders(config_dir)
    plain, resume_from, auto = compose_training(parse_call("train", words, keywords, folders), folders)
    if auto:
        raise UserError("resume: build makes what a training begins with, and resume=auto is for train. Leave it out.")
    if resume_from is not None:
        raise UserError(
            "resume: a run is continued in its own folder, by visionkit.train(run=..., resume=True). To go on from its "
            f"weights: visionkit.build(run=..., weights='run:{resume_from.path}')"
        )
    with plain_torch():
        config = RunConfig.from_plain(plain, objects=objects)
        config.check_initial_weights()
        return build_task_and_data(config)


@explain_os_errors()
def sweep(*words: str, progress: bool = True, config_dir: ConfigDir | None = None, **keywords: Any) -> Sweep:
    """Train with each combination of several values, as the command with ``-m`` does, or search with ``sweep=optuna``.

    Args:
        *words: As of `train`; several values are ``"seed=0,1,2"``.
        progress: Whether the runs are shown while they go on.
        config_dir: A folder of your own with groups, as of ``--config-dir``.
        **keywords: As of `train`; a list holds several values, as in ``seed=[0, 1, 2]``, a tuple is one.

    Returns:
        The sweep, with its ``runs`` and the ``best`` of them; a run that failed does not end it, see ``rows``.

    Raises:
        UserError: If no run can be made.
    """
    from visionkit.cli.given_objects import refuse_objects
    from visionkit.cli.keywords import call_words, config_folders
    from visionkit.cli.search import run_search
    from visionkit.cli.sweep import run_sweep
    from visionkit.cli.syntax import is_search
    from visionkit.sweeps.result import Sweep
    from visionkit.training.caller_state import keep_caller_state

    refuse_objects(keywords, verb="sweep")
    folders = config_folders(config_dir)
    arguments = call_words(words, keywords, folders, several=True)
    run = run_search if is_search(arguments) else run_sweep
    with keep_caller_state():
        outcome = run(arguments, folders, silent=not progress)
    return Sweep(_result_of(outcome))


@explain_os_errors()
def load(
    run: Any,
    *,
    head: Any = None,
    plugins: Sequence[str] = (),
    device: Literal["auto", "cpu", "gpu", "mps"] | None = None,
    precision: Literal["32", "bf16", "16"] | None = None,
    window: int | Sequence[int] | Literal["auto"] | None = None,
    overlap: float | None = None,
    min_score: float | None = None,
    max_pixels: int | None = None,
    max_detections: int | None = None,
    value_range: Sequence[float] | None = None,
) -> Predictor:
    """Load what a run has trained, for predictions.

    Args:
        run: A `Run`, its folder, a ``.safetensors`` file of its weights with ``config.yaml`` and ``data.json`` beside
            it, ``"latest"`` for the newest run below ``runs/``, or the ``model.onnx`` of an export, which needs nothing
            beside it and runs on the CPU.
        head: The head object that the run was trained with, if it was one.
        plugins: The modules that the run needs; those that its folder names are never imported unasked.
        device: Where the model runs; None for the run's own ``hardware``.
        precision: ``"bf16"`` or ``"16"`` for half precision; None for the run's own.
        window: For tasks whose results have places in the image: height and width in pixels of windows that slide over
            it, or ``"auto"`` for the size of training; None for whole images.
        overlap: The share of a window that neighbours have in common, 0 to 0.9.
        min_score: Objects with a lower score are not drawn; of task=multilabel, the probability from which an image
            has a class.
        max_pixels: Larger images are not read whole; None for the limit of the run's data set.
        max_detections: The most objects of one image, whole or by windows; None for the number of the run's head.
        value_range: The values that are black and white in images of more than 8 bits or of floats; None for those
            that the run was trained on.

    Returns:
        A `visionkit.inference.predictor.Predictor`; its ``predict`` takes images.

    Raises:
        UserError: If there is no such run, its files are damaged or do not fit each other, it needs plugins that are
            not named, or an argument is wrong.
    """
    from visionkit.inference.load import open_predictor
    from visionkit.inference.options import PredictOptions
    from visionkit.training.caller_state import keep_random_state, plain_torch

    options = PredictOptions.read(
        {"window": window, "overlap": overlap, "min_score": min_score, "max_pixels": max_pixels,
         "max_detections": max_detections, "value_range": value_range}
    )  # fmt: skip
    with keep_random_state(), plain_torch():
        return open_predictor(run, head=head, plugins=plugins, options=options, accelerator=device, precision=precision)


def _printer(progress: bool) -> Printer | None:
    """None is the room's own."""
    from visionkit.console import Printer

    return None if progress else Printer.silent()


def _result_of(outcome: Outcome[ResultT | None]) -> ResultT:
    """The result; a signal that has ended the work is delivered to the caller, whose handler is in place again."""
    if outcome.code in (ExitCode.INTERRUPTED, ExitCode.TERMINATED):
        signal.raise_signal(outcome.code - 128)
        raise KeyboardInterrupt  # of a caller who ignores the signal
    assert outcome.result is not None
    return outcome.result
