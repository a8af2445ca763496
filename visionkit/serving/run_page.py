"""Opens a page of gradio's to this machine alone, until a signal ends it."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from typing import Any

from visionkit.errors import UserError

__all__ = ["prepare_gradio", "run_page"]

_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; worker-src 'self' blob:; "
    "form-action 'self'; base-uri 'self'"
)
"""What browsers may load and send for the page: from its own server alone."""


def prepare_gradio(*, share: bool) -> None:
    """Set what gradio reads from the environment as it is imported; what stands there from elsewhere is dropped.

    Args:
        share: Whether its servers may be asked for a public address.
    """
    for name in [name for name in os.environ if name.startswith("GRADIO_")]:
        del os.environ[name]
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["GRADIO_RUN_HISTORY"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ["GRADIO_TEMP_DIR"] = os.path.join(tempfile.gettempdir(), "gradio")
    if not share:
        os.environ["HF_HUB_OFFLINE"] = "1"
    for name in ("NO_PROXY", "no_proxy"):  # gradio asks its own server whether it has started
        os.environ[name] = ",".join(filter(None, (os.environ.get(name), "127.0.0.1,localhost,::1")))


def run_page(
    page: Any, *, host: str, port: int, share: bool, max_bytes: int, on_ready: Callable[[str | None], None]
) -> None:
    """Show a page until a signal ends it.

    Args:
        page: Of `visionkit.serving.page.create_page`.
        host: Where to listen.
        port: One that is free.
        share: Whether gradio's servers make a public address.
        max_bytes: Of a file that is sent.
        on_ready: Called with the public address, None without one.

    Raises:
        UserError: If the port is taken meanwhile.
    """
    import gradio
    from starlette.middleware import Middleware

    from visionkit.serving.page_style import FONTS, MONO_FONTS, STYLE

    theme = gradio.themes.Base(
        primary_hue="blue", neutral_hue="gray", radius_size="md", font=FONTS, font_mono=MONO_FONTS
    )
    try:
        _, _, public = page.launch(
            server_name=host, server_port=port, share=share, quiet=True, show_error=False, prevent_thread_lock=True,
            max_file_size=max_bytes, theme=theme, css=STYLE, footer_links=[], ssr_mode=False,
            mcp_server=False, pwa=False, enable_monitoring=False, strict_cors=True, inbrowser=False,
            app_kwargs={"middleware": [Middleware(_PageHeaders)], "docs_url": None, "redoc_url": None},
        )  # fmt: skip
    except OSError as error:
        raise UserError(f"port: {port} of {host} cannot be used: {error}. Try: port=0") from None
    try:
        on_ready(public)
        while True:
            time.sleep(3600)
    finally:
        page.close(verbose=False)


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
