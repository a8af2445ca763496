"""The 1,797 handwritten digits that scikit-learn ships: real data without any download."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from visionkit.data.sources.base import SOURCES, DataInfo, Source, Splits
from visionkit.data.splitting import hold_out

__all__ = ["Digits"]


@SOURCES.register("digits")
@dataclass(frozen=True, kw_only=True)
class Digits(Source):
    """8x8 grey digits (Alpaydin & Kaynak 1998, UCI), values 0..16 stretched to 0..255, enlarged to ``image_size``.

    Attributes:
        split_seed: Of the stratified division; it has its own, so that runs with different seeds compare.
        val_fraction: Share of the samples held for validation.
        test_fraction: Share held for the test.
    """

    split_seed: Annotated[int, Field(ge=0)] = 0
    val_fraction: Annotated[float, Field(gt=0, lt=0.5)] = 0.15
    test_fraction: Annotated[float, Field(gt=0, lt=0.5)] = 0.15

    def info(self) -> DataInfo:
        return self.describe(tuple(str(digit) for digit in range(10)), in_channels=1)

    def splits(self, *, seed: int, saved: Mapping[str, Any] | None = None, strict: bool = False) -> Splits:
        import torch
        from sklearn.datasets import load_digits

        from visionkit.data.samples import Samples, TensorSamples

        bunch = load_digits()
        images = torch.from_numpy(bunch.images * (255 / 16)).round().to(torch.uint8)[:, None]  # (1797, 1, 8, 8)
        labels = torch.from_numpy(bunch.target).long()
        parts = {
            "test": round(self.test_fraction * len(labels)),
            "val": round(self.val_fraction * len(labels)),
        }
        chosen = hold_out(bunch.target, parts, seed=self.split_seed)
        samples: dict[str, Samples] = {
            split: TensorSamples(images, labels, torch.from_numpy(chosen[split]), prefix="digits")
            for split in ("train", "val", "test")
        }
        return Splits(samples)
