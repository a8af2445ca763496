"""The verb ``evaluate``: the metrics of a run's best checkpoint on one split."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from visionkit.console import loading
from visionkit.distributed.processes import Processes
from visionkit.errors import ExitCode, Outcome, UserError, did_you_mean
from visionkit.metrics.evaluation import Evaluation
from visionkit.runs.config import RunConfig
from visionkit.runs.exports import EAGER, export_file
from visionkit.runs.folder import RunFolder

if TYPE_CHECKING:
    from visionkit.console import Printer
    from visionkit.runs.objects import RunObjects

__all__ = ["evaluate"]

SPLITS = ("train", "val", "test")


def evaluate(
    plain: Mapping[str, Any],
    folder: RunFolder,
    *,
    split: str | None = None,
    engine: str = EAGER,
    objects: RunObjects | None = None,
    printer: Printer | None = None,
) -> Outcome[Evaluation | None]:
    """Evaluate the best checkpoint of a run, or its exported file.

    Args:
        plain: The configuration of the run, with overrides such as ``hardware`` or ``dataset.root`` applied.
        folder: The folder of the run.
        split: ``train``, ``val`` or ``test``; None takes test, or val if there is no test split.
        engine: What computes the model, one of `visionkit.runs.exports.ENGINES`; files on the CPU, in one process.
        objects: What a person has given in Python.
        printer: The output, if not the default one.

    Returns:
        0, or the code of a signal which ended several processes; and the metrics, None after a signal.

    Raises:
        UserError: If ``split`` is none of these, or there is no exported file; else as
            `visionkit.training.evaluation.evaluate_run`.
        ProcessError: If one of several processes failed.
    """
    if split not in (None, *SPLITS):
        raise UserError(f"split: expected train, val or test, found '{split}'.{did_you_mean(str(split), SPLITS)}")
    onnx_file = export_file(folder, engine)
    config = RunConfig.from_plain(plain, objects=objects)
    if onnx_file is not None:
        config = replace(config, hardware=config.hardware.on_cpu())
    with loading():
        processes = Processes.plan(config.hardware)
        if not processes.to_launch:
            from visionkit.training.evaluation import evaluate_run
    if processes.to_launch:
        from visionkit.distributed.launch import launch
        from visionkit.training.payload import Payload, pack

        silent = printer is not None and printer.is_silent
        arguments = {"folder": str(folder.path), "split": split, "brief": False, "silent": silent}
        payload = pack(Payload(config.objects), num_processes=processes.count)
        launched = launch(
            "evaluate", config.plain, arguments, processes=processes, hardware=config.hardware, payload=payload
        )
        return Outcome(launched.code, None if launched.result is None else Evaluation.from_plain(launched.result))

    evaluation = evaluate_run(config, folder, processes, split=split, onnx_file=onnx_file, printer=printer)
    return Outcome(ExitCode.DONE, evaluation)
