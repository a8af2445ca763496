"""Fonts for names in any script: DejaVu Sans, which comes with matplotlib, or an installed one that has more.

What no font can draw is written as its escape, such as ``\\u732b``, instead of as an empty box.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path

from PIL import ImageFont

__all__ = ["drawable", "font_files", "load_font"]

_ROUTINE = range(0x250)  # Latin letters: DejaVu Sans has them all, and no character map need be read


def drawable(text: str) -> str:
    """Text that can be drawn: characters that no font has are escaped."""
    if _is_routine(text):
        return text
    return "".join(char if _font_of(char) else char.encode("unicode_escape").decode("ascii") for char in text)


def font_files(text: str) -> list[Path]:
    """The fonts that `drawable` text needs, DejaVu Sans first."""
    files = [_default_font()]
    if not _is_routine(text):
        files += [font for font in dict.fromkeys(map(_font_of, text)) if font and font not in files]
    return files


def load_font(size: float, text: str = "") -> ImageFont.FreeTypeFont:
    """A Pillow font that has the letters of a text, which it draws in one font only.

    Args:
        size: In pixels.
        text: What is to be drawn.
    """
    files = font_files(text)
    whole = [file for file in files if _is_routine(text) or all(ord(char) in _characters(file) for char in text)]
    return _pillow_font(whole[0] if whole else files[-1], max(1, round(size)))


def _is_routine(text: str) -> bool:
    return all(ord(char) in _ROUTINE for char in text)


@cache
def _default_font() -> Path:
    """The file of DejaVu Sans, found without importing matplotlib."""
    spec = find_spec("matplotlib")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"


@cache
def _pillow_font(file: Path, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(file, size)


@cache
def _font_of(char: str) -> Path | None:
    """The first font that has a character; None if no font has."""
    if ord(char) in _characters(_default_font()):
        return _default_font()
    if not char.isprintable():
        return None
    return next((file for file in _installed_fonts() if ord(char) in _characters(file)), None)


@cache
def _installed_fonts() -> tuple[Path, ...]:
    """Files of upright fonts of normal weight; without the one that has a box for each script."""
    from matplotlib.font_manager import fontManager

    fonts = [
        font
        for font in fontManager.ttflist
        if font.style == "normal" and font.weight in (400, "normal", "regular") and "Last Resort" not in font.name
    ]
    return tuple(
        dict.fromkeys(Path(font.fname) for font in sorted(fonts, key=lambda font: ("Sans" not in font.name, font.name)))
    )


@cache
def _characters(file: Path) -> frozenset[int]:
    """The code points that a font has; none if it cannot be read."""
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(FT2Font(str(file)).get_charmap())
    except (OSError, RuntimeError):
        return frozenset()
