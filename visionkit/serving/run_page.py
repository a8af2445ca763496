"""Opens a page of gradio's to this machine alone, until a signal ends it."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import Any

import gradio
from gradio.routes import App, ORJSONResponse

from visionkit.errors import UserError
from visionkit.serving.hosts import HostCheck
from visionkit.serving.page_style import FONTS, MONO_FONTS, STYLE

__all__ = ["create_page_app", "run_page"]

_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; worker-src 'self' blob:; "
    "form-action 'self'; base-uri 'self'"
)
"""What browsers may load and send for the page: from its own server alone."""
_SHARED = ".gradio.live"
"""Names that gradio's servers give a shared page, and nobody else has."""


def run_page(
    page: Any,
    *,
    host: str,
    port: int,
    hosts: Collection[str] | None,
    share: bool,
    max_bytes: int,
    on_ready: Callable[[str | None], None],
) -> None:
    """Show a page until a signal ends it.

    Args:
        page: Of `visionkit.serving.page.create_page`.
        host: Where to listen.
        port: One that is free.
        hosts: The names that the server has, as of `HostCheck`.
        share: Whether gradio's servers make a public address.
        max_bytes: Of a file that is sent.
        on_ready: Called with the public address, None without one.

    Raises:
        UserError: If the port is taken meanwhile.
    """
    theme = gradio.themes.Base(
        primary_hue="blue", neutral_hue="gray", radius_size="md", font=FONTS, font_mono=MONO_FONTS
    )
    try:
        _, _, public = page.launch(
            server_name=host, server_port=port, share=share, quiet=True, show_error=False, prevent_thread_lock=True,
            max_file_size=max_bytes, theme=theme, css=STYLE, footer_links=[], ssr_mode=False,
            mcp_server=False, pwa=False, enable_monitoring=False, strict_cors=True, inbrowser=False,
            _app=create_page_app(hosts if hosts is None or not share else (*hosts, _SHARED)),
        )  # fmt: skip
    except OSError as error:
        raise UserError(f"port: {port} of {host} cannot be used: {error}. Try: port=0") from None
    try:
        on_ready(public)
        while True:
            time.sleep(3600)
    finally:
        page.close(verbose=False)


def create_page_app(hosts: Collection[str] | None) -> App:
    """The application of a page.

    Args:
        hosts: As of `HostCheck`, which stands around all that gradio adds: its own middleware sends headers of CORS.
    """

    class PageApp(App):  # type: ignore[misc, unused-ignore]
        def build_middleware_stack(self) -> Any:
            return HostCheck(_PageHeaders(super().build_middleware_stack()), hosts=hosts)

    return PageApp(docs_url=None, redoc_url=None, openapi_url=None, default_response_class=ORJSONResponse)


class _PageHeaders:
    """Adds the policy of the page to its answers."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def send_with_policy(message: Any) -> None:
            if message["type"] == "http.response.start":
                headers = [*message.get("headers", ()), (b"content-security-policy", _POLICY.encode())]
                message = {**message, "headers": [*headers, (b"referrer-policy", b"no-referrer")]}
            await send(message)

        await self.app(scope, receive, send_with_policy if scope["type"] == "http" else send)
