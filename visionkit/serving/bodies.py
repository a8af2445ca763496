"""The image in the body of a request, written into a file as it comes in: its bytes, a form, or base64 in JSON."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from fastapi import Request

from visionkit.schema import describe, quote
from visionkit.serving.uploads import UploadError, UploadLimits

__all__ = ["receive_image"]

_SECONDS = 60
_OVERHEAD = 2**16
"""The bytes of a form or a document beside its image."""
_NOT_READ = "A path or an address is not read: send the bytes of the image"
_EXAMPLES = (
    "Expected the image as the body with Content-Type: image/jpeg or the like, a form "
    '(curl -F image=@photo.jpg), or JSON: {"image": "<base64>"}'
)


async def receive_image(request: Request, path: Path, limits: UploadLimits) -> None:
    """Write the image of a request into a file.

    Args:
        request: Whose body has not been read.
        path: The file.
        limits: The bytes are counted as they come in.

    Raises:
        UploadError: If the body has more bytes, takes longer than a minute, or holds no image.
    """
    kind = request.headers.get("content-type", "application/octet-stream").partition(";")[0].strip().lower()
    if kind == "application/json":
        receive, limit = _receive_json, 4 * (limits.max_bytes + 2) // 3 + _OVERHEAD
    elif kind == "multipart/form-data":
        receive, limit = _receive_form, limits.max_bytes + _OVERHEAD
    elif kind.startswith("image/") or kind == "application/octet-stream":
        receive, limit = _receive_bytes, limits.max_bytes
    else:
        raise UploadError(f"Content-Type: {quote(kind)} is not read. {_EXAMPLES}", status=415)
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > limit:
        raise limits.too_many_bytes()
    counted = Request(request.scope, receive=_count_bytes(request.receive, limit, limits))
    try:
        async with asyncio.timeout(_SECONDS):
            await receive(counted, path)
    except TimeoutError:
        raise UploadError(f"the image did not come in within {_SECONDS} seconds.", status=408) from None
    if path.stat().st_size > limits.max_bytes:
        raise limits.too_many_bytes()


def _count_bytes(
    receive: Callable[[], Awaitable[Any]], limit: int, limits: UploadLimits
) -> Callable[[], Awaitable[Any]]:
    """The same messages of ASGI until there are more bytes than allowed."""
    total = 0

    async def counted() -> Any:
        nonlocal total
        message = await receive()
        total += len(message.get("body", b""))
        if total > limit:
            raise limits.too_many_bytes()
        return message

    return counted


async def _receive_bytes(request: Request, path: Path) -> None:
    with path.open("wb") as file:
        async for chunk in request.stream():
            file.write(chunk)


async def _receive_form(request: Request, path: Path) -> None:
    async with request.form(max_files=1, max_fields=8) as form:
        files = [value for value in form.values() if not isinstance(value, str)]
        if not files:
            raise UploadError(f"the form has no file. {_NOT_READ}, such as: curl -F image=@photo.jpg", status=422)
        with path.open("wb") as file:
            while chunk := await files[0].read(2**20):
                file.write(chunk)


async def _receive_json(request: Request, path: Path) -> None:
    try:
        document = json.loads(await request.body())
    except (ValueError, RecursionError):
        raise UploadError('the body is no JSON. Expected {"image": "<base64>"}', status=400) from None
    if not isinstance(document, dict) or set(document) != {"image"}:
        found = f"the keys {', '.join(map(quote, list(document)[:5]))}" if isinstance(document, dict) else "no mapping"
        raise UploadError(f'found {found}. Expected {{"image": "<base64>"}} alone. {_NOT_READ} in base64.', status=422)
    text = document["image"]
    if not isinstance(text, str):
        raise UploadError(f"image: found {describe(text)[:100]}. Expected the bytes in base64, as text.", status=422)
    if text[:5].lower() == "data:":
        text = text.partition(",")[2]
    try:
        content = base64.b64decode("".join(text.split()), validate=True)
    except ValueError:
        raise UploadError(f"image: it is no base64. {_NOT_READ} in base64.", status=422) from None
    path.write_bytes(content)
