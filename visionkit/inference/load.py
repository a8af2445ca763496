"""Makes the `Predictor` of a run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from visionkit.inference.options import PredictOptions
from visionkit.inference.predictor import Predictor
from visionkit.registry import load

if TYPE_CHECKING:
    from visionkit.runs.config import RunConfig
    from visionkit.runs.folder import RunFolder
    from visionkit.settings import Hardware

__all__ = ["load_predictor"]


def load_predictor(
    config: RunConfig, folder: RunFolder, *, options: PredictOptions | None = None, hardware: Hardware | None = None
) -> Predictor:
    """The best model of a run on its device, with the run's way of reading and resizing images.

    Args:
        config: The run's configuration.
        folder: Its folder.
        options: The user's options.
        hardware: Device and precision; None for those of the configuration.

    Raises:
        UserError: If the folder lacks a file, its files do not fit each other, or the task does not have an option.
    """
    from visionkit.distributed.devices import choose_accelerator, torch_device
    from visionkit.models.folding import fold_norms
    from visionkit.models.prepare import prepare_model
    from visionkit.runs.checkpoint import load_run_model, read_data_info

    hardware = replace(hardware or config.hardware, num_nodes=1, node_rank=0)
    data = read_data_info(folder)
    device = torch_device(choose_accelerator(hardware))
    model = prepare_model(fold_norms(load_run_model(folder)), hardware).to(device)
    inference = load(config.task.inference)(
        model, config.source.input_transform(), data, precision=hardware.precision, options=options
    )
    low_high = data.get("value_range")
    reader = config.source.image_reader(
        data["in_channels"], value_range=None if low_high is None else (low_high[0], low_high[1])
    )
    return Predictor(inference, reader, task=config.task.name, batch_size=config.recipe.batch_size, path=folder.path)
