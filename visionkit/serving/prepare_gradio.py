"""What gradio reads from the environment: nothing is counted, fetched, or kept where others look."""

from __future__ import annotations

import os

__all__ = ["prepare_gradio"]


def prepare_gradio(*, share: bool, folder: str) -> None:
    """Set what gradio reads from the environment as it is imported; what stands there from elsewhere is dropped.

    Args:
        share: Whether its servers may be asked for a public address.
        folder: For the pictures that are sent.
    """
    for name in [name for name in os.environ if name.startswith("GRADIO_")]:
        del os.environ[name]
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["GRADIO_RUN_HISTORY"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ["GRADIO_TEMP_DIR"] = folder
    if not share:
        os.environ["HF_HUB_OFFLINE"] = "1"
    for name in ("NO_PROXY", "no_proxy"):  # gradio asks its own server whether it has started
        os.environ[name] = ",".join(filter(None, (os.environ.get(name), "127.0.0.1,localhost,::1")))
