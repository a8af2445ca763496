"""What is measured: the model of a run, or a network with random weights; and the images that it is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from visionkit.distributed.devices import choose_accelerator, torch_device
from visionkit.errors import UserError
from visionkit.export.images import at_size, random_images
from visionkit.models.export_info import takes_sizes
from visionkit.runs.config import RunConfig
from visionkit.runs.folder import RunFolder

if TYPE_CHECKING:
    from visionkit.inference.base import Inference
    from visionkit.models.vision_model import VisionModel

__all__ = ["Batch", "Network", "NetworkSpec", "load_network", "make_batch", "read_images"]

NUM_CLASSES = 10
"""Of a network without a run, unless its user says another number."""

Batch = tuple[Tensor, Tensor | None]
"""Images (B, C, H, W) uint8, or float32 in 0..255, on the CPU; and where they may be padded, their sizes (B, 2)."""


@dataclass(frozen=True)
class NetworkSpec:
    """What a network is made of, as plain values that another process can be sent.

    Attributes:
        label: What it is called in tables and pictures.
        plain: The configuration of the run, or of one that would train the network.
        path: The folder of the run; None for random weights.
        image_size: Height and width in pixels of the images; None for the network's own.
        num_classes: Of random weights.
        use_dataset: Whether random weights have the channels, classes and size of the data set.
    """

    label: str
    plain: Mapping[str, Any]
    path: Path | None = None
    image_size: tuple[int, int] | None = None
    num_classes: int | None = None
    use_dataset: bool = False

    def config(self) -> RunConfig:
        """The configuration; the files of a run's data set are not looked at."""
        return RunConfig.from_plain(self.plain, check_data=self.use_dataset)


@dataclass(frozen=True)
class Network:
    """A model on its device, and what its images are like.

    Attributes:
        model: In evaluation mode, batch norms folded.
        task: Name of the task.
        data: ``image_size``, ``in_channels``, ``class_names`` and perhaps ``value_range``, as in ``data.json``.
        device: Of the model.
        precision: As in ``hardware.precision``.
        inference: Of a run: reads and resizes images.
    """

    model: VisionModel
    task: str
    data: Mapping[str, Any]
    device: torch.device
    precision: str
    inference: Inference | None = None

    @property
    def takes_sizes(self) -> bool:
        """Whether images may be padded, so that their sizes are given too."""
        return takes_sizes(self.task)


def load_network(spec: NetworkSpec) -> Network:
    """The model as `visionkit.load` has it, or a new one.

    Raises:
        UserError: If the run has no checkpoint, or the parts of a new network do not fit together.
    """
    config = spec.config()
    if spec.path is None:
        return _random_network(spec, config)
    from visionkit.inference.load import load_predictor

    predictor = load_predictor(config, RunFolder.open(str(spec.path)))
    inference = (predictor if spec.image_size is None else at_size(predictor, spec.image_size)).inference
    return Network(inference.model, config.task.name, inference.data, inference.device, inference.precision, inference)


def _random_network(spec: NetworkSpec, config: RunConfig) -> Network:
    from visionkit.backbones import read_backbone
    from visionkit.blocks.shapes import pair
    from visionkit.models.assemble import assemble
    from visionkit.models.folding import fold_norms
    from visionkit.models.prepare import prepare_model

    if config.weights is not None or config.backbone.weights is not None:
        raise UserError(
            "benchmark: a network without a run is measured with random weights, which are as fast as any. Leave "
            "weights= out, or measure a run: run=FOLDER"
        )
    info = config.source.info() if spec.use_dataset else None
    backbone = read_backbone(config.plain["backbone"], in_channels=info.in_channels if info else None)
    size = pair(spec.image_size or (info.image_size if info else backbone.image_size))
    num_classes = spec.num_classes or (info.num_classes if info else NUM_CLASSES)
    config.head.check(num_classes=num_classes)
    config.head.trace(config.head.adapt_backbone(backbone), num_classes=num_classes, image_size=size)
    torch.manual_seed(config.seed)
    model = assemble(backbone, config.head, num_classes=num_classes, image_size=size).eval().requires_grad_(False)
    device = torch_device(choose_accelerator(config.hardware))
    model = prepare_model(fold_norms(model), config.hardware).to(device)
    data = {
        "image_size": list(size),
        "in_channels": backbone.in_channels,
        "class_names": [f"class {number}" for number in range(num_classes)],
    }
    return Network(model, config.task.name, data, device, config.hardware.precision)


def read_images(network: Network, dataset: Any | None, count: int) -> list[Tensor]:
    """Images as the network takes them, before they are padded; noise where there is no data set.

    Args:
        network: Says how images are resized.
        dataset: A split of the run's data set, or None.
        count: How many; those of a smaller data set are repeated.
    """
    if dataset is not None and network.inference is not None:
        images = [loaded.pixels for _, loaded in network.inference.images(dataset, count)]
        if images:
            return [images[number % len(images)] for number in range(count)]
    height, width = network.data["image_size"]
    return random_images(network.data, count, size=(height, width))


def make_batch(network: Network, images: Sequence[Tensor]) -> Batch:
    """Images as one batch."""
    if network.inference is None:
        stacked = torch.stack(list(images))
        sizes = torch.tensor([stacked.shape[2:]] * len(images))
    else:
        stacked, sizes = network.inference.transform.pad_batch(images)
    return stacked, sizes if network.takes_sizes else None
