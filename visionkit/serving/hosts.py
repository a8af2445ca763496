"""Which names a server answers to. A page of elsewhere may give its own name the address of this machine, and the
browser then takes both for one site (DNS rebinding); the header Host tells them apart."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Collection
from typing import Any

from visionkit.schema import quote

__all__ = ["HostCheck", "is_known_host"]

_MISDIRECTED = 421
_CORS = b"access-control-"


class HostCheck:
    """An application of ASGI within which no request of a foreign name comes in, and no header of CORS goes out.

    Args:
        app: The application.
        hosts: As of `is_known_host`.
    """

    def __init__(self, app: Any, *, hosts: Collection[str] | None) -> None:
        self.app, self.hosts = app, hosts

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        names = [value.decode("latin-1") for key, value in scope["headers"] if key == b"host"]
        foreign = [name for name in names or [""] if not is_known_host(name, self.hosts)]
        if not foreign:
            await self.app(scope, receive, _without_cors(send))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await _refuse(send, foreign[0])


def is_known_host(header: str, hosts: Collection[str] | None) -> bool:
    """Whether a server answers to a name.

    Args:
        header: Name or address, with a port or without, as in the header Host.
        hosts: Names beside those that every machine has for itself alone; all names below one that begins with a dot;
            None for any.
    """
    if hosts is None:
        return True
    name = header[1:].partition("]")[0] if header.startswith("[") else header.partition(":")[0]
    name = name.lower().removesuffix(".")
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or any(
            name.endswith(known) if known.startswith(".") else name == known.lower() for known in hosts
        )


async def _refuse(send: Any, name: str) -> None:
    words = (
        f"the host {quote(name[:100])} is not one of this server, which is for its own machine alone. Expected "
        "127.0.0.1 or localhost. To be known by another name it is started with host=NAME"
    )
    body = json.dumps({"error": words}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send(
        {"type": "http.response.start", "status": _MISDIRECTED, "headers": [*headers, (b"connection", b"close")]}
    )
    await send({"type": "http.response.body", "body": body})


def _without_cors(send: Any) -> Any:
    """Pages of other sites are to read no answer, whatever a library thinks of them."""

    async def send_without_cors(message: Any) -> None:
        if message["type"] == "http.response.start":
            headers = [(key, value) for key, value in message.get("headers", ()) if not key.lower().startswith(_CORS)]
            message = {**message, "headers": headers}
        await send(message)

    return send_without_cors
