"""Makes the `Predictor` of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from visionkit.inference.options import PredictOptions
from visionkit.inference.predictor import Predictor
from visionkit.registry import load

if TYPE_CHECKING:
    from visionkit.data.images import ImageReader
    from visionkit.inference.base import Inference
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
    model = prepare_model(fold_norms(load_run_model(folder, config.objects)), hardware).to(device)
    inference = load(config.task.inference)(
        model, config.source.input_transform(), data, precision=hardware.precision, options=options
    )
    reader = _image_reader(config, data, inference)
    return Predictor(inference, reader, task=config.task.name, batch_size=config.recipe.batch_size, path=folder.path)


def _image_reader(config: RunConfig, data: Mapping[str, Any], inference: Inference) -> ImageReader:
    """How the images are read: in the channels and the range of values of those that the run was trained on."""
    from visionkit.data.image_error import ImageAdvice

    value_range = None if data.get("value_range") is None else (data["value_range"][0], data["value_range"][1])
    reader = config.source.image_reader(data["in_channels"], value_range=value_range)
    by_windows = "Look at it by windows: window=auto. " if inference.has_windows else ""
    advice = ImageAdvice(
        limit="max_pixels={limit}",
        too_large=f"{by_windows}Make it smaller, or read it whole: max_pixels={{pixels}}",
        channels="the model was trained on images of {channels}",
        other_bands="Expected images like those of the training. Convert it, or train on images of {bands}.",
    )
    return replace(reader, max_pixels=inference.options.max_pixels or reader.max_pixels, advice=advice)
