"""The class masks of a set: what is in them, and whether their borders lie on the edges of the images."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy
from numpy.typing import NDArray

from visionkit.checking.data_set import SPLITS, DataSet
from visionkit.checking.outliers import deviations
from visionkit.data.findings import Finding
from visionkit.distributed.devices import available_cores
from visionkit.errors import UserError

if TYPE_CHECKING:
    from typing import Any

    from visionkit.data.dataset import ImageDataset

__all__ = ["border_contrast", "check_masks"]

_IGNORED = 255
_SIDE = 160
_FAR = 3.2
_FEW = 20
_LEAST = 0.1
_RARE = 0.2
_CONTRAST = 1.35
"""The gradient at borders, beside that of the picture, from which on a mask fits."""


def check_masks(data: DataSet) -> list[Finding]:
    """Findings on class masks, of a deep check."""
    if data.pixels is None or data.target != "mask":
        return []
    findings = list[Finding]()
    for split in SPLITS:
        samples = data.splits.get(split)
        if samples is None or samples.masks is None:
            continue
        with ThreadPoolExecutor(available_cores()) as pool:
            looks = list(pool.map(lambda index, samples=samples: _look(samples, index), range(len(samples))))
        seen = {index: look for index, look in enumerate(looks) if look is not None}
        numbers = numpy.array([look[0] for look in seen.values()])
        rows = numpy.array(list(seen), dtype=numpy.int64)
        findings += Finding.of("mask-ignored", _places(data, split, rows[numbers == 0]), split=split)
        single = rows[numbers == 1]
        if len(single) <= _RARE * len(rows):
            findings += Finding.of("mask-one-class", _places(data, split, single), split=split)
        contrast = numpy.array([look[1] for look in seen.values()])
        known = numpy.isfinite(contrast)
        if known.sum() >= _FEW:
            far = deviations(numpy.log(contrast[known]), least=_LEAST) < -_FAR
            findings += Finding.of(
                "mask-misaligned", _places(data, split, rows[known][far & (contrast[known] < _CONTRAST)])
            )
    return findings


def _look(samples: ImageDataset, index: int) -> tuple[int, float] | None:
    """The number of classes in a mask, and the contrast at its borders; None of one that cannot be read."""
    try:
        mask = samples.mask(index).numpy()
        grey = samples.image(index).float().mean(dim=0).numpy()
    except UserError:
        return None
    present = numpy.bincount(mask.ravel(), minlength=_IGNORED + 1)[:_IGNORED]
    if mask.shape != grey.shape:
        return int((present > 0).sum()), float("nan")
    step = max(1, min(mask.shape) // _SIDE)
    return int((present > 0).sum()), border_contrast(mask[::step, ::step], grey[::step, ::step])


def border_contrast(mask: NDArray[Any], grey: NDArray[Any]) -> float:
    """The mean gradient of a picture at the borders of its mask over that of the whole picture; NaN without borders.

    Args:
        mask: uint8 (H, W), class ids.
        grey: float32 (H, W), 0..255.
    """
    across, down = numpy.abs(numpy.diff(grey, axis=1))[:-1], numpy.abs(numpy.diff(grey, axis=0))[:, :-1]
    gradient = across + down
    border = (mask[:-1, 1:] != mask[:-1, :-1]) | (mask[1:, :-1] != mask[:-1, :-1])
    whole = float(gradient.mean()) if gradient.size else 0.0
    if not border.any() or whole < 0.5:
        return float("nan")
    return max(float(gradient[border].mean()) / whole, 1e-3)


def _places(data: DataSet, split: str, rows: NDArray[Any]) -> list[str]:
    return [data.place(split, index) for index in rows.tolist()]
