"""Write ``docs/findings/``: a page for each code of the catalogue, and their list.

python tools/write_findings_docs.py            # writes the pages
python tools/write_findings_docs.py --check    # says which pages differ; exit code 1 if one does
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from visionkit.data.findings import CATALOGUE, FindingKind

FOLDER = Path(__file__).parents[1] / "docs" / "findings"
MEANING = {
    "note": "is said among the run's notes and in `log.txt`",
    "warning": "is said among the run's notes and in `log.txt`; with `strict=true` it is an error",
    "error": "ends the run before its first epoch, with exit code 2",
}


class _Blanks(dict[str, str]):
    """Fills what a text leaves open with the name of what stands there."""

    def __missing__(self, key: str) -> str:
        return key.upper()


def page(code: str, kind: FindingKind) -> str:
    """The page of one code."""
    text, remedy = (value.format_map(_Blanks()) for value in (kind.text, kind.remedy))
    severity = f"A {kind.severity}: it {MEANING[kind.severity]}."
    parts = (f"# {code}", f"> N {text}", severity, kind.why, f"**What to do.** {remedy}")
    return "\n\n".join(parts) + "\n"


def overview() -> str:
    """The list of all codes."""
    rows = [
        f"| [{code}]({code}.md) | {kind.severity} | {kind.text.format_map(_Blanks())} |"
        for code, kind in CATALOGUE.items()
    ]
    severities = " ".join(f"A finding of severity {name} {meaning}." for name, meaning in MEANING.items())
    return (
        "# Findings\n\nWhat a reader drops, repairs or doubts in a data set's files is a finding: counted, with the "
        f"first places, never silent. {severities}\n\n"
        "| code | severity | what is said, behind a count |\n|---|---|---|\n" + "\n".join(rows) + "\n"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a page is not up to date")
    check = parser.parse_args().check
    pages = {"README": overview()} | {code: page(code, kind) for code, kind in CATALOGUE.items()}
    found = {file.stem: file.read_text(encoding="utf-8") for file in FOLDER.glob("*.md")}
    differing = sorted(name for name in {*pages, *found} if pages.get(name) != found.get(name))
    for name in differing:
        print(f"{'differs' if check else 'written'}: docs/findings/{name}.md")
        if not check:
            FOLDER.mkdir(parents=True, exist_ok=True)
            (FOLDER / f"{name}.md").write_text(pages[name], encoding="utf-8") if name in pages else (
                FOLDER / f"{name}.md"
            ).unlink()
    return 1 if check and differing else 0


if __name__ == "__main__":
    sys.exit(main())
