"""``python -m visionkit``."""

import sys

from visionkit.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
