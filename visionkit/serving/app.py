"""A run as a small HTTP endpoint: an image in, JSON out."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from visionkit.serving.answers import AnswerOptions
from visionkit.serving.bodies import receive_image
from visionkit.serving.hosts import HostCheck
from visionkit.serving.uploads import UploadError, UploadPredictor
from visionkit.text import json_text

__all__ = ["create_app"]

_MAX_WAITING = 32
"""Requests at a time: each holds an image on the disk, and one after the other is predicted."""

OnRequest = Callable[[str], None]


def create_app(
    service: UploadPredictor, *, hosts: Collection[str] | None, on_request: OnRequest = lambda line: None
) -> FastAPI:
    """The application: ``POST /predict``, ``GET /health`` and ``GET /``; every answer, errors too, is JSON.

    Args:
        service: What predicts.
        hosts: The names that the server has, as of `HostCheck`.
        on_request: Called with a line about each image that was sent.
    """
    waiting = 0

    async def predict(request: Request) -> Response:
        nonlocal waiting
        start = time.perf_counter()
        waiting += 1
        try:
            if waiting > _MAX_WAITING:
                raise UploadError(f"{_MAX_WAITING} images are waiting here. Try again in a while.", status=503)
            answer = _json(await _predict(request, service))
        except UploadError as error:
            answer = _json({"error": str(error)}, status=error.status)
        except ClientDisconnect:
            answer = _json({"error": "the connection was closed before the image was whole."}, status=400)
        finally:
            waiting -= 1
        client = "" if request.client is None else request.client.host
        on_request(f"{client} POST /predict {answer.status_code} {1000 * (time.perf_counter() - start):,.0f} ms")
        return answer

    async def health() -> Response:
        return _json({"status": "ok", "task": service.task, "run": service.run})

    async def info(request: Request) -> Response:
        return _json(_describe(service, str(request.base_url)))

    app = FastAPI(title="visionkit", docs_url=None, redoc_url=None, openapi_url=None)  # those pages load from a CDN
    app.add_api_route("/predict", predict, methods=["POST"])
    app.add_api_route("/health", health, methods=["GET"])
    app.add_api_route("/", info, methods=["GET"])
    app.add_middleware(HostCheck, hosts=hosts)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(Exception, _on_failure)
    return app


async def _predict(request: Request, service: UploadPredictor) -> dict[str, Any]:
    options = AnswerOptions.read(dict(request.query_params))
    with tempfile.TemporaryDirectory(prefix="upload-") as folder:
        path = Path(folder, "image")
        await receive_image(request, path, service.limits)
        document: dict[str, Any] = await run_in_threadpool(_answer, service, path, options)
        return document


def _answer(service: UploadPredictor, path: Path, options: AnswerOptions) -> dict[str, Any]:
    prediction, notes = service.predict(path)
    return {**options.document(prediction, service.task), "notes": list(notes)}


def _describe(service: UploadPredictor, url: str) -> dict[str, Any]:
    return {
        "task": service.task,
        "run": service.run,
        "classes": list(service.class_names),
        "max_bytes": service.limits.max_bytes,
        "max_pixels": service.limits.max_pixels,
        "paths": {
            "POST /predict": "the bytes of an image, a form with a file, or JSON with base64; ?min_score= and ?top=",
            "GET /health": "whether it answers",
        },
        "example": f"curl -F image=@photo.jpg {url}predict",
    }


async def _on_http_error(request: Request, error: Any) -> Response:
    words = {404: f"there is no '{request.url.path}' here", 405: f"'{request.url.path}' does not take {request.method}"}
    words_here = words.get(error.status_code, error.detail)
    paths = "" if error.status_code not in words else ". Expected POST /predict, GET /health or GET /"
    return _json({"error": f"{words_here}{paths}"}, status=error.status_code, headers=error.headers)


async def _on_failure(request: Request, error: Exception) -> Response:
    """Whatever else fails is shown, with its traceback, to the person who started the server alone."""
    return _json({"error": "a fault of the server. Its terminal shows what happened."}, status=500)


def _json(document: Any, *, status: int = 200, headers: Any = None) -> Response:
    return Response(json_text(document), status_code=status, headers=headers, media_type="application/json")
