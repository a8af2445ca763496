"""The Faster R-CNN head: torchvision's two stages behind our contract."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor
from torchvision.models.detection.roi_heads import RoIHeads, fastrcnn_loss
from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead, concat_box_prediction_layers
from torchvision.ops import roi_align

from visionkit.backbones.spec import FeatureInfo
from visionkit.heads.base import Head, Predictions

__all__ = ["FasterRCNNHead"]

_POOLED = 7
"""Rows and columns of what is pooled for each proposal (Lin et al. 2017, section 4.2)."""


class FasterRCNNHead(Head):
    """Proposals from every level, and a second look at each (Ren et al. 2015; Lin et al. 2017, section 4).

    torchvision's region proposal network and RoI heads do the work, images one after the other. What is ours is
    where anchors stand and from where features are pooled, both from what the levels declare, and the border:
    torchvision counts the background as class 0, so class ids are shifted by one on the way in and out.

    `forward` ends with the first stage; `loss` and `predict` run the second one, on the maps among the outputs.

    Args:
        levels: The maps that come in, all of as many channels, fine to coarse.
        num_classes: K, without the background.
        pooled_levels: From how many of the levels, the finest first, the second stage pools.
        anchor_scale: Side of an anchor in strides of its level.
        aspect_ratios: Height over width of the anchors of a place.
        centers: ``receptive_field``, or ``corner``: as in torchvision, cell i stands at i * stride for anchors and
            pooling, and strides of anchors are guessed from the sizes of maps.
        hidden: Widths of the fully connected layers that look at each proposal.
        proposals: How many are kept at most per image, in training and otherwise.
        anchors_per_image: How many anchors of an image the first stage's loss samples.
        samples_per_image: How many proposals of an image the second stage's loss samples.
        score_threshold: What a detection's score must exceed.
        nms_threshold: Of two detections of a class that overlap more, the lesser goes.
        max_detections: D, per image.
    """

    def __init__(
        self,
        levels: Mapping[str, FeatureInfo],
        *,
        num_classes: int,
        pooled_levels: int,
        anchor_scale: float = 8.0,
        aspect_ratios: Sequence[float] = (0.5, 1.0, 2.0),
        centers: Literal["receptive_field", "corner"] = "receptive_field",
        hidden: Sequence[int] = (1024, 1024),
        proposals: tuple[int, int] = (2000, 1000),
        anchors_per_image: int = 256,
        samples_per_image: int = 512,
        score_threshold: float = 0.05,
        nms_threshold: float = 0.5,
        max_detections: int = 100,
    ) -> None:
        super().__init__()
        self.strides = [info.stride for info in levels.values()]
        self.shifts = [0.0 if centers == "corner" else info.offset + 0.5 for info in levels.values()]
        self.centers, self.max_detections = centers, max_detections
        channels = next(iter(levels.values())).channels
        generator = AnchorGenerator(
            tuple((anchor_scale * stride,) for stride in self.strides), (tuple(aspect_ratios),) * len(levels)
        )
        kept = dict(zip(("training", "testing"), proposals, strict=True))
        self.rpn = RegionProposalNetwork(
            generator,
            RPNHead(channels, len(aspect_ratios)),
            fg_iou_thresh=0.7,
            bg_iou_thresh=0.3,
            batch_size_per_image=anchors_per_image,
            positive_fraction=0.5,
            pre_nms_top_n=kept,
            post_nms_top_n=kept,
            nms_thresh=0.7,
        )
        self.roi_heads = RoIHeads(
            _Pooling(self.strides[:pooled_levels], self.shifts[:pooled_levels]),
            _hidden_layers(channels * _POOLED**2, hidden),
            FastRCNNPredictor(hidden[-1], num_classes + 1),
            fg_iou_thresh=0.5,
            bg_iou_thresh=0.5,
            batch_size_per_image=samples_per_image,
            positive_fraction=0.25,
            bbox_reg_weights=None,
            score_thresh=score_threshold,
            nms_thresh=nms_threshold,
            detections_per_img=max_detections,
        )

    def forward(self, features: Mapping[str, Tensor], image_size: tuple[int, int]) -> dict[str, Tensor]:
        """The first stage.

        Returns:
            ``logits`` (B, A, 1) that there is any object, ``deltas`` (B, A, 4) of the anchors, ``anchors`` (A, 4) xyxy
            pixels, ``image_size`` (2,) int64 height and width, and ``features/<level>`` (B, C, H, W), the maps that
            came in.
        """
        maps = list(features.values())
        logits, deltas = concat_box_prediction_layers(*self.rpn.head(maps))
        return {
            "logits": logits.reshape(len(maps[0]), -1, 1),
            "deltas": deltas.reshape(len(maps[0]), -1, 4),
            "anchors": self._anchors(maps, image_size),
            "image_size": torch.tensor(image_size, device=maps[0].device),
            **{f"features/{name}": value for name, value in features.items()},
        }

    def loss(self, outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Four scalars: ``objectness`` and ``proposals`` of the first stage, ``classification`` and ``boxes``.

        Anchors and proposals are sampled at random (Ren et al. 2015, section 3.1.3); outside training always in the
        same way, so that two validations of one model agree.

        Args:
            outputs: What `forward` returned.
            targets: ``boxes`` (B, M, 4) xyxy pixels, ``labels`` (B, M) int64 with -1 for padding, and ``image_sizes``
                (B, 2) int64 where some images are padded.
        """
        truth = [
            {"boxes": boxes[labels >= 0], "labels": labels[labels >= 0] + 1}
            for boxes, labels in zip(targets["boxes"], targets["labels"], strict=True)
        ]
        logits, deltas, anchors = _first_stage(outputs)
        sizes = _sizes(outputs, targets.get("image_sizes"))
        with _same_sampling(on=logits.device, wanted=not self.training):
            labels, matched = self.rpn.assign_targets_to_anchors(anchors, truth)
            regression = self.rpn.box_coder.encode(matched, anchors)
            objectness, proposed = self.rpn.compute_loss(logits, deltas.flatten(0, 1), labels, regression)
            chosen, _, labels, regression = self.roi_heads.select_training_samples(
                self._proposals(outputs, sizes), truth
            )
            classification, boxes = fastrcnn_loss(*self._second_stage(outputs, chosen, sizes), labels, regression)
        return {"objectness": objectness, "proposals": proposed, "classification": classification, "boxes": boxes}

    def predict(self, outputs: Mapping[str, Tensor], image_sizes: Tensor | None = None) -> Predictions:
        """``boxes`` (B, D, 4) xyxy pixels, ``scores`` (B, D) and ``labels`` (B, D) int64, -1 where there is none.

        Args:
            outputs: What `forward` returned.
            image_sizes: (B, 2) int64 heights and widths without padding.
        """
        sizes = _sizes(outputs, image_sizes)
        proposals = self._proposals(outputs, sizes)
        found = self.roi_heads.postprocess_detections(*self._second_stage(outputs, proposals, sizes), proposals, sizes)
        boxes, scores, labels = (self._padded(values) for values in found)
        return {"boxes": boxes, "scores": scores, "labels": labels - 1}

    def _anchors(self, maps: Sequence[Tensor], image_size: tuple[int, int]) -> Tensor:
        generator: AnchorGenerator = self.rpn.anchor_generator
        generator.set_cell_anchors(torch.promote_types(maps[0].dtype, torch.float32), maps[0].device)
        sizes = [list(one.shape[-2:]) for one in maps]
        strides = [[stride, stride] for stride in self.strides]
        if self.centers == "corner":
            strides = [[whole // cells for whole, cells in zip(image_size, size, strict=True)] for size in sizes]
        grids = generator.grid_anchors(sizes, strides)
        return torch.cat([grid + shift for grid, shift in zip(grids, self.shifts, strict=True)])

    def _proposals(self, outputs: Mapping[str, Tensor], sizes: list[tuple[int, int]]) -> list[Tensor]:
        logits, deltas, anchors = _first_stage(outputs)
        decoded = self.rpn.box_coder.decode(deltas.detach().flatten(0, 1), anchors).view(len(sizes), -1, 4)
        per_place = self.rpn.anchor_generator.num_anchors_per_location()[0]
        numbers = [per_place * one.shape[-2] * one.shape[-1] for one in _maps(outputs).values()]
        proposals: list[Tensor] = self.rpn.filter_proposals(decoded, logits.flatten(1), sizes, numbers)[0]
        return proposals

    def _second_stage(
        self, outputs: Mapping[str, Tensor], proposals: list[Tensor], sizes: list[tuple[int, int]]
    ) -> tuple[Tensor, Tensor]:
        pooled = self.roi_heads.box_roi_pool(_maps(outputs), proposals, sizes)
        logits, deltas = self.roi_heads.box_predictor(self.roi_heads.box_head(pooled))
        return _at_least_single(logits), _at_least_single(deltas)

    def _padded(self, values: list[Tensor]) -> Tensor:
        """Rows of differing length as one tensor (B, D, ...), zeros behind each."""
        room = values[0].new_zeros(self.max_detections, *values[0].shape[1:])
        return pad_sequence([*values, room], batch_first=True)[:-1]


class _Pooling(nn.Module):
    """RoIAlign from the level that fits a box's size (He et al. 2017, section 3; Lin et al. 2017, equation 1).

    torchvision's own guesses strides from the first images it sees, powers of two.

    Args:
        strides: Of the levels, fine to coarse.
        shifts: The pixel at which the first cell of each level stands.
    """

    def __init__(self, strides: Sequence[int], shifts: Sequence[float]) -> None:
        super().__init__()
        self.strides, self.shifts = tuple(strides), tuple(shifts)

    def forward(
        self, features: Mapping[str, Tensor], boxes: list[Tensor], image_shapes: list[tuple[int, int]]
    ) -> Tensor:
        """Pool for each box.

        Args:
            features: Maps (B, C, H, W), fine to coarse; those behind the last pooled level are passed over.
            boxes: Per image (n, 4) xyxy pixels.
            image_shapes: What torchvision's asks for; nothing hangs on it.

        Returns:
            (n of all images, C, 7, 7).
        """
        maps = list(features.values())
        corners = torch.cat(boxes)  # (N, 4)
        images = torch.cat([one.new_full((len(one), 1), number) for number, one in enumerate(boxes)])
        sides = (corners[:, 2:] - corners[:, :2]).prod(dim=1).sqrt()
        # Equation 1: an object of 224 pixels belongs to stride 16.
        limits = sides.new_tensor([stride * 224 / 16 for stride in self.strides[1:]])
        levels = torch.bucketize(sides * (1 + 1e-6), limits, right=True)
        pooled = corners.new_zeros(len(corners), maps[0].shape[1], _POOLED, _POOLED)
        for level, (stride, shift) in enumerate(zip(self.strides, self.shifts, strict=True)):
            here = torch.where(levels == level)[0]
            regions = torch.cat([images[here], corners[here] - shift], dim=1)
            values = _at_least_single(maps[level])
            pooled[here] = roi_align(values, regions, _POOLED, spatial_scale=1 / stride, sampling_ratio=2)
        return pooled.to(maps[0].dtype)


def _hidden_layers(in_features: int, hidden: Sequence[int]) -> nn.Sequential:
    """Fully connected layers called fc6, fc7, ..., as in torchvision's weights."""
    layers: dict[str, nn.Module] = {"flatten": nn.Flatten()}
    for number, width in enumerate(hidden, start=6):
        layers[f"fc{number}"] = nn.Linear(in_features, width)
        layers[f"relu{number}"] = nn.ReLU(inplace=True)
        in_features = width
    modules = nn.Sequential()
    for name, layer in layers.items():
        modules.add_module(name, layer)
    return modules


def _first_stage(outputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Logits (B, A, 1) and deltas (B, A, 4) in at least single precision, and the anchors once per image."""
    logits, deltas = (_at_least_single(outputs[name]) for name in ("logits", "deltas"))
    return logits, deltas, [outputs["anchors"]] * len(logits)


def _maps(outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value for name, value in outputs.items() if name.startswith("features/")}


def _sizes(outputs: Mapping[str, Tensor], image_sizes: Tensor | None) -> list[tuple[int, int]]:
    """Height and width of each image, as torchvision wants them."""
    if image_sizes is None:
        image_sizes = outputs["image_size"].expand(len(outputs["logits"]), 2)
    return [(height, width) for height, width in image_sizes.tolist()]


def _at_least_single(values: Tensor) -> Tensor:
    return values.to(torch.promote_types(values.dtype, torch.float32))


@contextmanager
def _same_sampling(*, on: torch.device, wanted: bool) -> Iterator[None]:
    """Draw the same random numbers each time, and leave the generators as they were."""
    if not wanted:
        yield
        return
    with torch.random.fork_rng([on] if on.type == "cuda" else []):
        torch.manual_seed(0)
        yield
