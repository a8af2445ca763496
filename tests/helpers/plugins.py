"""What a plugin registers is forgotten when the test that wrote it ends; the next one's may bear the same name."""

import contextlib
import sys

from visionkit.blocks.normalization import NORMS
from visionkit.blocks.registry import BLOCKS
from visionkit.data.augment.spec import AUGMENTATIONS
from visionkit.data.sources import SOURCES
from visionkit.heads import HEADS
from visionkit.losses.spec import BOX_LOSSES, LABEL_LOSSES, PIXEL_LOSSES
from visionkit.metrics.spec import METRICS
from visionkit.necks import NECKS
from visionkit.settings import CALLBACKS, LOGGERS, OPTIMIZERS, SCHEDULES
from visionkit.tasks.info import TASKS

REGISTRIES = (
    AUGMENTATIONS, BLOCKS, BOX_LOSSES, CALLBACKS, HEADS, LABEL_LOSSES, LOGGERS, METRICS, NECKS, NORMS, OPTIMIZERS,
    PIXEL_LOSSES, SCHEDULES, SOURCES,
)  # fmt: skip


@contextlib.contextmanager
def plugins_forgotten(folder):
    """Afterwards the registries are as before, and no module from a folder is imported any more."""
    before, tasks = [dict(registry._rows) for registry in REGISTRIES], dict(TASKS)
    try:
        yield
    finally:
        ours = [n for n, m in sys.modules.items() if (getattr(m, "__file__", None) or "").startswith(str(folder))]
        for name in ours:
            del sys.modules[name]
        if ours:
            for registry, rows in zip(REGISTRIES, before, strict=True):
                registry._rows = rows
            TASKS.clear()
            TASKS.update(tasks)
