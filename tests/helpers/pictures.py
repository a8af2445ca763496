"""Rendering of figures takes most of the time of a short run; where no test looks at them, they are left blank."""

from contextlib import contextmanager
from unittest.mock import patch

from matplotlib.figure import Figure
from PIL import Image

_render = Figure.savefig


def _save_blank(self, file, *, format="png", **options):
    Image.new("RGB", (4, 4), "white").save(file, format=format)


@contextmanager
def blank_pictures(blank=True):
    """Within this context figures are made, and saved without being rendered; or rendered again, unless blank.

    tests/report looks at rendered figures, and so do the files of `SharedRuns`.
    """
    with patch.object(Figure, "savefig", _save_blank if blank else _render):
        yield
