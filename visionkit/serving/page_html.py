"""What the page of a run says in HTML. Names of classes, runs and files are strangers' text, and are escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import islice
from typing import TYPE_CHECKING

from visionkit.inference.predictions.classification import Classification, LabelSet
from visionkit.inference.predictions.objects import Detections
from visionkit.inference.predictions.segmentation import Segmentation
from visionkit.report.palette import class_colour
from visionkit.text import count_of, printable

if TYPE_CHECKING:
    from visionkit.inference.predictions import Prediction

__all__ = ["header_html", "hint_html", "error_html", "notes_html", "summary_html", "table_html"]

_MAX_ROWS = 100
_MAX_LISTED = 40
_NAME_LENGTH = 60


def header_html(task: str, run: str, class_names: Sequence[str]) -> str:
    """The title: run, task, and the classes."""
    listed = ", ".join(_name(name) for name in class_names[:_MAX_LISTED])
    more = f" and {len(class_names) - _MAX_LISTED:,} more" if len(class_names) > _MAX_LISTED else ""
    return (
        f"<h1>{_text(run)}</h1><p class='classes'>{_text(task)} &middot; {count_of(len(class_names), 'class')}: "
        f"{listed}{more}</p>"
    )


def hint_html(text: str) -> str:
    """A line that says what to do."""
    return f"<p class='hint'>{_text(text)}</p>"


def error_html(text: str) -> str:
    """Why there is no prediction."""
    return f"<p class='error' role='alert'>{_text(text[:1].upper() + text[1:])}</p>"


def summary_html(prediction: Prediction) -> str:
    """The prediction in a line."""
    score = ""
    if isinstance(prediction, Classification):
        words, score = prediction.label, f"{prediction.score:.1%} &middot; "
    elif isinstance(prediction, LabelSet):
        words = ", ".join(prediction.labels[:_MAX_LISTED]) or "none of the classes reaches this score"
    elif isinstance(prediction, Detections):
        words = count_of(len(prediction), "object") if len(prediction) else "no object reaches this score"
    else:
        assert isinstance(prediction, Segmentation)
        words = count_of(len(prediction.pixels), "class") + " in the picture"
    height, width = prediction.size
    return f"<span class='found'>{_text(words)}</span> <span class='hint'>{score}{width:,} x {height:,} pixels</span>"


def notes_html(notes: Sequence[str]) -> str:
    """What is to be said of the picture that was sent."""
    return "".join(f"<p class='note'>{_text(note[:1].upper() + note[1:])}.</p>" for note in notes)


def table_html(prediction: Prediction) -> str:
    """What was found, the likeliest or largest first: a row for each class or object."""
    if isinstance(prediction, Classification | LabelSet):
        ids = {name: k for k, name in enumerate(prediction.class_names)}
        likely = {prediction.class_id} if isinstance(prediction, Classification) else set(prediction.class_ids)
        rows = [
            _row(name, ids[name], score, "" if ids[name] in likely else "unlikely")
            for name, score in prediction.top(_MAX_ROWS)
        ]
        return _table(("class", "", "probability"), rows, len(prediction.class_names))
    if isinstance(prediction, Detections):
        boxes = prediction.boxes.round().astype(int).tolist()
        found = zip(prediction.names, prediction.labels.tolist(), prediction.scores.tolist(), boxes, strict=True)
        rows = [
            _row(name, label, score, box=", ".join(map(str, box)))
            for name, label, score, box in islice(found, _MAX_ROWS)
        ]
        return _table(("object", "", "score", "left, top, right, bottom"), rows, len(prediction)) if rows else ""
    assert isinstance(prediction, Segmentation)
    ids = {name: k for k, name in enumerate(prediction.class_names)}
    shares = sorted(prediction.pixels.items(), key=lambda item: -item[1])
    rows = [_row(name, ids[name], count / prediction.mask.size) for name, count in shares[:_MAX_ROWS]]
    return _table(("class", "", "share of pixels"), rows, len(shares))


def _table(headings: Sequence[str], rows: Sequence[str], total: int) -> str:
    classes = ("name", "bar", "number", "box")
    head = "".join(f"<th class='{kind}'>{words}</th>" for kind, words in zip(classes, headings, strict=False))
    left_out = f"<p class='hint'>and {total - len(rows):,} more</p>" if total > len(rows) else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>{left_out}"


def _row(name: str, class_id: int, score: float, kind: str = "", *, box: str = "") -> str:
    colour = class_colour(class_id)
    swatch = f"<span class='swatch' style='background:{colour}'></span>"
    bar = f"<div><i style='width:{100 * score:.1f}%;background:{colour}'></i></div>"
    cells = f"<td class='name'>{swatch}{_name(name)}</td><td class='bar'>{bar}</td><td class='number'>{score:.1%}</td>"
    cells += f"<td class='box'>{box}</td>" if box else ""
    return f"<tr class='{kind}'>{cells}</tr>"


def _name(name: str) -> str:
    return _text(name if len(name) <= _NAME_LENGTH else f"{name[: _NAME_LENGTH - 1]}…")


def _text(text: str) -> str:
    return escape(printable(text))
