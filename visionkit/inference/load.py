"""Makes the `Predictor` of a run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from visionkit.errors import UserError
from visionkit.inference.options import PredictOptions
from visionkit.inference.predictor import Predictor
from visionkit.registry import load, load_plugins
from visionkit.schema import describe
from visionkit.text import printable

if TYPE_CHECKING:
    from visionkit.data.findings import Finding
    from visionkit.runs.config import RunConfig
    from visionkit.runs.folder import RunFolder
    from visionkit.settings import Hardware

__all__ = ["load_predictor", "open_predictor"]


def open_predictor(
    run: Any,
    *,
    head: Any,
    plugins: Sequence[str],
    options: PredictOptions,
    accelerator: str | None,
    precision: str | None,
) -> Predictor:
    """The `Predictor` for Python; what is odd about images goes to the logger ``visionkit``.

    Args:
        run: As of `visionkit.load`: a run or an exported file.
        head: The object that the run was trained with; None if it was none.
        plugins: The modules that the caller names.
        options: The user's options.
        accelerator: None for that of the run, as ``precision``.
        precision: ``32``, ``bf16`` or ``16``.

    Raises:
        UserError: As `load_predictor`, or if the run needs plugins that are not named.
    """
    from visionkit.inference.load_export import load_export
    from visionkit.runs.config import RunConfig
    from visionkit.runs.exports import find_export
    from visionkit.runs.objects import RunObjects
    from visionkit.runs.opening import run_folder
    from visionkit.settings import Hardware

    file = find_export(run)
    if file is not None:
        return load_export(
            file, head=head, plugins=plugins, options=options, device=accelerator, precision=precision, on_note=_log
        )
    folder = run_folder(run, verb="load")
    plain = folder.read_config()
    stored = plain.get("plugins") or []
    if stored and not plugins:
        raise UserError(
            f"the run '{folder.path}' was made with plugins {stored}, and a run folder's code is never run unasked. "
            f"If you trust it: visionkit.load({str(folder.path)!r}, plugins={stored!r})"
        )
    if not isinstance(plugins, list | tuple) or not all(isinstance(name, str) for name in plugins):
        raise UserError(f"plugins: found {describe(plugins)}. Expected the names of modules: plugins=['my_module']")
    load_plugins(plugins)
    objects = RunObjects.of(head=head)
    config = RunConfig.from_plain({**plain, "plugins": list(plugins)}, check_data=False, objects=objects)
    given: dict[str, Any] = {
        key: str(x) for key, x in (("accelerator", accelerator), ("precision", precision)) if x is not None
    }
    try:
        hardware = Hardware.from_config({**plain["hardware"], **given})
    except UserError as error:
        raise UserError(_by_keyword(str(error), accelerator)) from None
    return load_predictor(config, folder, options=options, hardware=hardware, on_note=_log)


def _by_keyword(message: str, device: Any) -> str:
    """A message about the hardware in the words of `visionkit.load`."""
    advice = " Try: device='gpu'" if str(device).startswith("cuda") else ""
    return message.replace("hardware.accelerator:", "device:").replace("hardware.", "") + advice


def _log(finding: Finding) -> None:
    """Log the first finding of a kind: what images in memory are called says little, and later ones are counted."""
    logging.getLogger("visionkit").warning(printable(f"{finding.note}. {finding.remedy}"))


def load_predictor(
    config: RunConfig,
    folder: RunFolder,
    *,
    options: PredictOptions | None = None,
    hardware: Hardware | None = None,
    on_note: Callable[[Finding], None] | None = None,
) -> Predictor:
    """The best model of a run on its device, with the run's way of reading and resizing images.

    Args:
        config: The run's configuration.
        folder: Its folder.
        options: The user's options.
        hardware: Device and precision; None for those of the configuration.
        on_note: Called with the first finding of each kind about the images.

    Raises:
        UserError: If the folder lacks a file, its files do not fit each other, or the task does not have an option.
    """
    from visionkit.distributed.devices import choose_accelerator, torch_device
    from visionkit.inference.reader import adapt_reader
    from visionkit.models.folding import fold_norms
    from visionkit.models.prepare import prepare_model
    from visionkit.runs.checkpoint import load_run_model, read_data_info

    hardware = replace(hardware or config.hardware, num_nodes=1, node_rank=0)
    data = read_data_info(folder)
    device = torch_device(choose_accelerator(hardware))
    model = prepare_model(fold_norms(load_run_model(folder, config.objects)), hardware).to(device)
    own_limit = getattr(model.head, "max_detections", None)
    if options is not None and options.max_detections is not None and own_limit is not None:
        model.head.max_detections = max(own_limit, options.max_detections)
    inference = load(config.task.inference)(
        model, config.source.input_transform(), data, precision=hardware.precision, options=options
    )
    reader = config.source.image_reader(data["in_channels"], value_range=inference.value_range)
    return Predictor(
        inference,
        adapt_reader(reader, inference),
        task=config.task.name,
        batch_size=config.recipe.batch_size,
        path=folder.path,
        on_note=on_note,
    )
