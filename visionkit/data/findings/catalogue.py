"""The catalogue of what readers of data sets drop, repair or doubt, by code; ``docs/findings/`` has a page for each."""

from __future__ import annotations

from collections.abc import Mapping

from visionkit.data.findings.annotations import ANNOTATIONS
from visionkit.data.findings.checked_boxes import CHECKED_BOXES
from visionkit.data.findings.checked_classes import CHECKED_CLASSES
from visionkit.data.findings.checked_files import CHECKED_FILES
from visionkit.data.findings.checked_masks import CHECKED_MASKS
from visionkit.data.findings.checked_pixels import CHECKED_PIXELS
from visionkit.data.findings.checked_twins import CHECKED_TWINS
from visionkit.data.findings.files import FILES
from visionkit.data.findings.items import ITEMS
from visionkit.data.findings.kind import FindingKind
from visionkit.data.findings.masks import MASKS
from visionkit.data.findings.objects import OBJECTS
from visionkit.data.findings.predictions import PREDICTIONS

__all__ = ["CATALOGUE"]

CATALOGUE: Mapping[str, FindingKind] = {
    **OBJECTS, **ANNOTATIONS, **MASKS, **FILES, **ITEMS, **PREDICTIONS, **CHECKED_FILES, **CHECKED_PIXELS,
    **CHECKED_TWINS, **CHECKED_CLASSES, **CHECKED_BOXES, **CHECKED_MASKS,
}  # fmt: skip
