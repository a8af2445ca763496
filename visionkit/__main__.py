"""Entry point of ``python -m visionkit``."""

import os
import sys

from visionkit.cli.main import main

if __name__ == "__main__":
    exit_code = main()
    if "TORCHELASTIC_RUN_ID" in os.environ:
        from visionkit.distributed.processes import hard_exit

        hard_exit(exit_code)
    sys.exit(exit_code)
