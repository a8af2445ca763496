"""The page of a run: a picture is dropped, and labels, boxes or masks come back with their scores."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio

from visionkit.inference.multilabel import MultilabelInference
from visionkit.inference.predictions.base import Prediction
from visionkit.inference.predictions.classification import Classification, LabelSet
from visionkit.inference.predictions.objects import Detections
from visionkit.report.drawing.detect import MIN_SCORE
from visionkit.serving.answers import with_min_score
from visionkit.serving.page_html import error_html, header_html, hint_html, notes_html, summary_html, table_html
from visionkit.serving.uploads import UploadError, UploadPredictor, UploadResult

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["create_page"]

_HINT = "Drop a picture, paste one, or click to choose one."
_MAX_SHOWN_SIDE = 2000
_SECONDS_KEPT = 3600


def create_page(service: UploadPredictor) -> Any:
    """The page as `gradio.Blocks`, which is not launched yet.

    Args:
        service: What predicts.
    """
    kind = service.prediction_class
    with_picture, min_score = not issubclass(kind, Classification | LabelSet), _first_min_score(kind)
    with gradio.Blocks(
        title=f"{service.run} - visionkit", analytics_enabled=False, delete_cache=(_SECONDS_KEPT, _SECONDS_KEPT)
    ) as page:
        gradio.HTML(
            header_html(service.task, service.run, service.class_names), elem_id="vk-header", apply_default_css=False
        )
        found = gradio.State(None, time_to_live=_SECONDS_KEPT)
        with gradio.Row(equal_height=False, elem_classes=_layout(with_picture, min_score)):
            with gradio.Column(scale=5 if with_picture else 1, min_width=320, elem_id="vk-left"):
                picture = _input()
                slider = gradio.Slider(
                    0.0, 1.0, value=min_score or 0.0, step=0.01, label="minimum score", buttons=[],
                    visible=min_score is not None, elem_id="vk-score",
                )  # fmt: skip
                if with_picture:
                    status, table = _results()
            with gradio.Column(scale=8 if with_picture else 1, min_width=320, elem_id="vk-right"):
                drawn = gradio.Image(
                    label="result", interactive=False, visible=with_picture, elem_id="vk-picture", format="png",
                    buttons=["download", "fullscreen"],
                )  # fmt: skip
                if not with_picture:
                    status, table = _results()
        _connect(service, picture, slider, found, [drawn, status, table])
    return page


def _connect(service: UploadPredictor, picture: Any, slider: Any, found: Any, shown: list[Any]) -> None:
    """Let a picture be predicted and the slider choose, within the block that is open.

    Args:
        service: What predicts.
        picture: What was dropped.
        slider: The least score.
        found: Keeps the result of the page's last picture.
        shown: Where results go: picture, line and table.
    """

    def predict(path: str | None, min_score: float) -> tuple[Any, ...]:
        if path is None:
            return None, gradio.skip(), *_nothing(hint_html(_HINT))
        try:
            result = service.predict(_uploaded(path))
            return result, gradio.skip(), *_show(result, min_score)
        except UploadError as error:
            return None, None, *_nothing(error_html(str(error)))
        except Exception:
            logging.getLogger("visionkit").exception("a picture of the page could not be predicted")
            return None, None, *_nothing(error_html("This picture made the server fail; its terminal says how."))

    def redraw(result: UploadResult | None, min_score: float) -> tuple[Any, ...]:
        return (gradio.skip(),) * 3 if result is None else _show(result, min_score)

    hidden = {"api_visibility": "private", "concurrency_limit": 1, "concurrency_id": "model"}
    sent = {"inputs": [picture, slider], "outputs": [found, picture, *shown], "show_progress_on": shown[:2]}
    picture.upload(predict, **sent, **hidden)
    picture.clear(predict, **sent, **hidden)
    slider.change(redraw, [found, slider], shown, show_progress="hidden", trigger_mode="always_last", **hidden)


def _input() -> Any:
    """Where a picture is dropped."""
    picture = gradio.Image(
        label="your picture", type="filepath", sources=["upload", "clipboard"], elem_id="vk-input", buttons=[],
        placeholder="Drop a picture here, or click",
    )  # fmt: skip
    picture.preprocess = _path_of  # gradio's own would decode the picture before its size is checked
    return picture


def _first_min_score(kind: type[Prediction]) -> float | None:
    """Where the slider stands in the beginning, as `predict` has it; None for predictions without a choice."""
    if issubclass(kind, Detections):
        return MIN_SCORE
    return MultilabelInference.default_min_score if issubclass(kind, LabelSet) else None


def _layout(with_picture: bool, min_score: float | None) -> list[str]:
    """The classes of the style sheet that the body of the page has."""
    labels = [] if with_picture else ["vk-labels"]
    return [*labels, "vk-plain"] if min_score is None else labels


def _results() -> tuple[Any, Any]:
    """The line that says what was found or what went wrong, and the table."""
    status = gradio.HTML(hint_html(_HINT), elem_id="vk-status", apply_default_css=False)
    return status, gradio.HTML("", elem_id="vk-table", apply_default_css=False)


def _path_of(payload: Any) -> str | None:
    """The file of what was dropped."""
    return None if payload is None else payload.path


def _uploaded(path: str) -> Path:
    """The path of a file that was uploaded.

    gradio looks at paths only where a request says that they are files, and takes those of other requests as they are.

    Raises:
        UploadError: If it is another file of this machine, or none.
    """
    from gradio.utils import get_upload_folder

    try:
        file = Path(path).resolve()
        if file.is_relative_to(Path(get_upload_folder()).resolve()) and file.is_file():
            return file
    except (OSError, ValueError):
        pass
    raise UploadError(
        "This is no picture that was dropped here. A path is not read; drop the picture itself.", status=422
    )


def _nothing(words: str) -> tuple[Any, ...]:
    return None, words, ""


def _show(result: UploadResult, min_score: float) -> tuple[Any, ...]:
    """The picture, the line with the notes, and the table of a prediction."""
    chosen = with_min_score(result.prediction, min_score)
    return _drawn(chosen), summary_html(chosen) + notes_html(result.notes), table_html(chosen)


def _drawn(prediction: Prediction) -> Image.Image | None:
    """The picture that `Prediction.draw` makes, no larger than screens are; None where the table says it all."""
    if isinstance(prediction, Classification | LabelSet):
        return None
    picture = prediction.draw()
    picture.thumbnail((_MAX_SHOWN_SIDE, _MAX_SHOWN_SIDE))
    return picture
