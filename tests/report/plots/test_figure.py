"""What all figures share."""

import subprocess
import sys


def test_no_global_state_of_matplotlib_is_touched():
    code = "import sys, visionkit.report.plots; print('matplotlib.pyplot' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
