"""Text and legends drawn with Pillow: lines broken to a width, coloured squares with names."""

from collections.abc import Sequence

from PIL import ImageDraw

from visionkit.report.fonts import load_font
from visionkit.report.style import TEXT_COLOUR, LegendEntry, shorten

__all__ = ["LINE_HEIGHT", "draw_legend", "draw_text", "legend_lines", "wrap"]

LINE_HEIGHT = 22
"""Of a legend whose text has 13 pixels."""

PlacedEntry = tuple[float, str, str]
"""Left edge, text, and colour; without a colour "" for text alone."""


def draw_text(
    draw: ImageDraw.ImageDraw,
    position: tuple[float, float],
    text: str,
    *,
    size: float,
    colour: str = TEXT_COLOUR,
    anchor: str = "lm",
) -> None:
    """Draw one line in a font that has its letters."""
    draw.text(position, text, fill=colour, font=load_font(size, text), anchor=anchor)


def wrap(text: str, width: float, *, size: float) -> list[str]:
    """Break a text between words into lines of at most ``width`` pixels."""
    lines: list[str] = []
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and load_font(size, longer).getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def legend_lines(
    legend: Sequence[LegendEntry], width: float, *, size: float, max_lines: int
) -> list[list[PlacedEntry]]:
    """Place the entries of a legend in lines.

    Args:
        legend: Names and their colours.
        width: The right edge of the lines, in pixels.
        size: Of the text.
        max_lines: What does not fit into so many lines is counted in the last one.
    """
    texts = [shorten(name, 24) for name, _ in legend]
    widths = [load_font(size, text).getlength(text) + 2.6 * size for text in texts]
    rest_width = load_font(size).getlength(f"+ {len(legend):,} more classes")
    lines: list[list[PlacedEntry]] = []
    left = width
    for index, ((_, colour), text, entry_width) in enumerate(zip(legend, texts, widths, strict=True)):
        if len(lines) == max_lines and left + entry_width + rest_width > width and index + 1 < len(legend):
            lines[-1].append((left, f"+ {len(legend) - index:,} more classes", ""))
            break
        if not lines or left + entry_width > width:
            lines.append([])
            left = 0.0
        lines[-1].append((left, text, colour))
        left += entry_width
    return lines


def draw_legend(
    draw: ImageDraw.ImageDraw, lines: Sequence[Sequence[PlacedEntry]], position: tuple[float, float], *, size: float
) -> None:
    """Draw placed entries, the first at a position (left, top)."""
    line_height, square = size * 1.7, size * 0.9
    for number, line in enumerate(lines):
        middle = position[1] + (number + 0.5) * line_height
        for offset, text, colour in line:
            left = position[0] + offset
            if colour:
                edges = (left, middle - square / 2, left + square, middle + square / 2)
                draw.rectangle(edges, fill=colour, outline=TEXT_COLOUR)
                left += 1.4 * size
            draw_text(draw, (left, middle), text, size=size)
