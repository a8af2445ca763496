"""Figures take a third of the time of a short run; where no test looks at them, they are left blank."""

from contextlib import ExitStack, contextmanager
from unittest.mock import patch

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from visionkit.report.plots import confusion_matrix, curves, figure, precision_recall, sweep_curves


class _Blank:
    """Stands for a figure and for all that is drawn in it: takes every call, and saves an empty picture."""

    lines = ()

    def __getattr__(self, name):
        return self

    def __call__(self, *arguments, **options):
        return self

    def __getitem__(self, key):
        return self

    def __iter__(self):
        return iter((self, self))  # as many axes as the plots unpack

    def values(self):
        return ()

    def savefig(self, file, *, format="png"):
        Image.new("RGB", (4, 4), "white").save(file, format=format)


@contextmanager
def blank_pictures(blank=True):
    """Within this context plots are computed without being drawn; or drawn again, unless blank.

    tests/report looks at drawn figures, and so do the files of `SharedRuns`.
    """
    with ExitStack() as stack:
        for module in (confusion_matrix, curves, precision_recall, sweep_curves):
            stack.enter_context(patch.object(module, "Figure", _Blank() if blank else Figure))
        stack.enter_context(patch.object(figure, "FigureCanvasAgg", _Blank() if blank else FigureCanvasAgg))
        if blank:
            stack.enter_context(patch.object(figure, "_families", return_value=[]))
        yield
