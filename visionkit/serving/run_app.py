"""Runs an HTTP application until a signal ends it."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import Any

__all__ = ["run_app"]

_SECONDS_TO_END = 5


def run_app(app: Any, bound: socket.socket) -> None:
    """Answer requests until a signal ends it; the signal then reaches the handler that was there before.

    Args:
        app: An application of ASGI.
        bound: A bound socket, which is closed in the end.
    """
    import uvicorn

    logging.getLogger("uvicorn.error").addFilter(_is_no_cancellation)
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=_SECONDS_TO_END,
    )
    with bound:
        uvicorn.Server(config).run(sockets=[bound])


def _is_no_cancellation(record: logging.LogRecord) -> bool:
    """Whether a record of uvicorn is another than that of a request that the end of the server has cut off."""
    return record.exc_info is None or not isinstance(record.exc_info[1], asyncio.CancelledError)
