"""Pastes the output of commands into README.md and the pages of docs/.

It stands between ``<!-- output: VERB ... -->`` and ``<!-- end -->``.
"""

import argparse
import contextlib
import io
import re
import sys

from page_commands import PAGES, REPOSITORY

from visionkit.cli.main import main as visionkit

PLACE = re.compile(r"<!-- output: (.+?) -->\n(.*?)<!-- end -->", flags=re.DOTALL)


def refreshed(page: str) -> str:
    """The text of a page with every output made anew."""
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
    """Write the pages, or say whether they are fresh."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a page is not fresh")
    arguments = parser.parse_args()
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        fresh = refreshed(text)
        if fresh != text and arguments.check:
            sys.exit(f"{page.relative_to(REPOSITORY)} is not fresh. Run: python tools/page_outputs.py")
        if fresh != text:
            page.write_text(fresh, encoding="utf-8")


if __name__ == "__main__":
    main()
