"""The verbs for Python: words and keywords are composed as the command line does, and the same rooms are called."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from visionkit.errors import UserError
from visionkit.text import printable

if TYPE_CHECKING:
    from visionkit.data.findings import Finding
    from visionkit.inference.predictor import Predictor
    from visionkit.runs.folder import RunFolder

__all__ = ["load"]


def load(
    run: Any,
    *,
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
        run: A run folder, a ``.safetensors`` file of its weights with ``config.yaml`` and ``data.json`` beside it, or
            ``"latest"`` for the newest run below ``runs/``.
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
    from visionkit.inference.load import load_predictor
    from visionkit.inference.options import PredictOptions
    from visionkit.registry import load_plugins
    from visionkit.runs.config import RunConfig
    from visionkit.settings import Hardware

    options = PredictOptions.read(
        {"window": window, "overlap": overlap, "min_score": min_score, "max_pixels": max_pixels,
         "max_detections": max_detections, "value_range": value_range}
    )  # fmt: skip
    folder = _open_run(run)
    plain = folder.read_config()
    _check_plugins(folder, plain, plugins)
    load_plugins(plugins)
    config = RunConfig.from_plain({**plain, "plugins": list(plugins)}, check_data=False)
    changes = {"accelerator": device, "precision": precision}
    given = {key: value for key, value in changes.items() if value is not None}
    hardware = Hardware.from_config({**plain["hardware"], **given})
    return load_predictor(config, folder, options=options, hardware=hardware, on_note=_say)


def _say(finding: Finding) -> None:
    """Log the first finding of a kind: what images in memory are called says little, and later ones are counted."""
    logging.getLogger("visionkit").warning(printable(f"{finding.note}. {finding.remedy}"))


def _check_plugins(folder: RunFolder, plain: Mapping[str, Any], plugins: Sequence[str]) -> None:
    stored = plain.get("plugins") or []
    if stored and not plugins:
        raise UserError(
            f"the run '{folder.path}' was made with plugins {stored}, and a run folder's code is never run unasked. "
            f"If you trust it: visionkit.load({str(folder.path)!r}, plugins={stored!r})"
        )


def _open_run(run: Any) -> RunFolder:
    """The folder that a person means."""
    from visionkit.runs.folder import RunFolder

    path = getattr(run, "path", run)
    if not isinstance(path, str | os.PathLike):
        raise UserError(
            f"load: found a {type(run).__name__}, expected the folder of a run, its model.safetensors, or 'latest'."
        )
    file = Path(path).expanduser()
    if file.suffix == ".safetensors" and file.is_file():
        folder = RunFolder.open(str(file.parent))
        folder.weights_name = file.name
        return folder
    return RunFolder.open(os.fspath(path))
