"""Prints the commands of README.md, so that CI and tests run what a newcomer would type.

A named command stands in the line after ``<!-- command: NAME -->`` and its opening fence.
"""

import argparse
import re
import sys
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def named_command(name: str) -> str:
    """The one-line command under a name.

    Raises:
        SystemExit: If README.md has none of that name.
    """
    match = re.search(rf"<!-- command: {re.escape(name)} -->\n```\w*\n(.+)\n```", README.read_text(encoding="utf-8"))
    if match is None:
        sys.exit(f"README.md has no command named '{name}'")
    return match.group(1)


def visionkit_commands() -> list[str]:
    """Every ``python -m visionkit ...`` line in a fenced block, in the order of the page."""
    text = README.read_text(encoding="utf-8")
    blocks = re.findall(r"```(?:bash|sh)\n(.*?)```", text, flags=re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [line.split("  #")[0].strip() for line in lines if line.startswith("python -m visionkit")]


def python_examples() -> list[str]:
    """Every fenced block of Python, in the order of the page."""
    return re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)


def main() -> None:
    """Print one named command, or all commands."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", help="print the command of this name alone")
    arguments = parser.parse_args()
    print(named_command(arguments.name) if arguments.name else "\n".join(visionkit_commands()))


if __name__ == "__main__":
    main()
