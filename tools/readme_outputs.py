"""Pastes the output of commands into README.md, between ``<!-- output: VERB ... -->`` and ``<!-- end -->``."""

import argparse
import contextlib
import io
import re
import sys
from pathlib import Path

from visionkit.cli.main import main as visionkit

README = Path(__file__).parents[1] / "README.md"
PLACE = re.compile(r"<!-- output: (.+?) -->\n(.*?)<!-- end -->", flags=re.DOTALL)


def refreshed(page: str) -> str:
    """The page with every output made anew."""
    return PLACE.sub(lambda place: f"<!-- output: {place[1]} -->\n\n{printed(place[1])}\n<!-- end -->", page)


def printed(command: str) -> str:
    """What ``python -m visionkit COMMAND`` prints.

    Raises:
        SystemExit: If the command fails.
    """
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = visionkit(command.split())
    if code:
        sys.exit(f"'{command}' ended with {code}")
    return "".join(f"{line.rstrip()}\n" for line in out.getvalue().splitlines())


def main() -> None:
    """Write the page, or say whether it is fresh."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if the page is not fresh")
    arguments = parser.parse_args()
    page = README.read_text(encoding="utf-8")
    fresh = refreshed(page)
    if fresh != page and arguments.check:
        sys.exit("README.md is not fresh. Run: python tools/readme_outputs.py")
    README.write_text(fresh, encoding="utf-8")


if __name__ == "__main__":
    main()
