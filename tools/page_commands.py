"""Prints the commands of README.md and the pages of docs/, so that CI and tests run what a newcomer would type.

A named command stands in the line after ``<!-- command: NAME -->`` and its opening fence.
"""

import argparse
import re
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
README = REPOSITORY / "README.md"
OTHER_TESTS = ("architecture", "backbones", "serving")
"""Pages that have tests of their own, or no commands."""
PAGES = (README, *(page for page in sorted(REPOSITORY.glob("docs/*.md")) if page.stem not in OTHER_TESTS))


def named_command(name: str) -> str:
    """The one-line command under a name in README.md.

    Raises:
        SystemExit: If README.md has none of that name.
    """
    match = re.search(rf"<!-- command: {re.escape(name)} -->\n```\w*\n(.+)\n```", README.read_text(encoding="utf-8"))
    if match is None:
        sys.exit(f"README.md has no command named '{name}'")
    return match.group(1)


def fenced(page: Path, *languages: str) -> list[str]:
    """Every fenced block in one of some languages, in the order of the page."""
    pattern = rf"```(?:{'|'.join(languages)})\n(.*?)```"
    return re.findall(pattern, page.read_text(encoding="utf-8"), flags=re.DOTALL)


def visionkit_commands(page: Path) -> list[str]:
    """Every ``python -m visionkit ...`` line in a fenced block, in the order of the page."""
    lines = [line for block in fenced(page, "bash", "sh") for line in block.replace("\\\n", " ").splitlines()]
    return [line.split("  #")[0].strip() for line in lines if line.startswith("python -m visionkit")]


def main() -> None:
    """Print one named command, or all commands."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", help="print the command of this name alone")
    arguments = parser.parse_args()
    if arguments.name:
        print(named_command(arguments.name))
        return
    for page in PAGES:
        print(f"# {page.relative_to(REPOSITORY)}", *visionkit_commands(page), sep="\n")


if __name__ == "__main__":
    main()
