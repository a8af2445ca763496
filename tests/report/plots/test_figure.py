"""What all figures share."""

import subprocess
import sys

import matplotlib
import pytest

from visionkit.report.plots.curves import plot_curves


@pytest.mark.parametrize(
    "changed", [{"text.usetex": True}, {"axes.facecolor": "black", "font.size": 30.0, "savefig.dpi": 20}]
)
def test_a_style_of_a_person_changes_no_picture_and_stays_theirs(tmp_path, changed):
    history = [{"epoch": epoch, "val/accuracy": epoch / 4} for epoch in (1, 2, 3)]
    plot_curves(history, tmp_path / "plain.png", monitor="val/accuracy")
    with matplotlib.rc_context(changed):
        plot_curves(history, tmp_path / "styled.png", monitor="val/accuracy")
        assert {name: matplotlib.rcParams[name] for name in changed} == changed
    assert (tmp_path / "styled.png").read_bytes() == (tmp_path / "plain.png").read_bytes()


def test_no_global_state_of_matplotlib_is_touched():
    code = "import sys, visionkit.report.plots; print('matplotlib.pyplot' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
