"""No room for what is printed, and none in memory."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_full_standard_output_is_told_as_such():
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "visionkit", "--help"], stdout=full, stderr=subprocess.PIPE, text=True
        )
    message = "visionkit: standard output: no space left on device. Make room, or send it elsewhere.\n"
    assert (done.returncode, done.stderr) == (2, message)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits of addresses")
def test_torch_that_has_no_memory_to_be_loaded_is_told_in_words(tmp_path):
    command = f"ulimit -v 3000000; exec {sys.executable} -m visionkit dataset=digits debug=fast hardware=cpu"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (
        2, "visionkit: memory could not be had: this process may have 2.9 GiB (ulimit -v), and torch alone takes about "
        "5 GiB of addresses. Try: ulimit -v unlimited",
    )  # fmt: skip
    assert "Traceback" not in done.stderr
