"""The verb ``demo``: a page on which a picture is dropped."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from typing import Any

from visionkit.console import Printer, loading
from visionkit.errors import ExitCode, UserError
from visionkit.registry import check_installed
from visionkit.schema import describe
from visionkit.serving.address import Address, network_warning, url_of
from visionkit.serving.prepare_gradio import prepare_gradio
from visionkit.serving.served_model import ServedModel, open_service
from visionkit.serving.uploads import UploadLimits

__all__ = ["demo"]

_PORT = 7860


def demo(model: ServedModel, *, options: Mapping[str, Any]) -> int:
    """Show a page until a signal ends it.

    Args:
        model: A run or an exported file.
        options: ``host``, ``port``, ``share``, ``max_bytes``, ``max_pixels`` and ``value_range``, where they were
            typed.

    Returns:
        0.

    Raises:
        UserError: If an option is wrong, gradio is missing, the port is taken or there is no model.
    """
    address, limits, share = Address.read(options, port=_PORT), UploadLimits.read(options), options.get("share", False)
    if not isinstance(share, bool):
        raise UserError(f"share: expected true or false, found {describe(share)}. Try: share=true")
    check_installed("gradio", needed_by="demo", extra="demo")
    with address.bind() as bound:  # gradio opens the same address; a port that is taken is told before it is imported
        url, port, warning = url_of(bound), bound.getsockname()[1], network_warning(bound)
        hosts = address.known_hosts(bound)
    printer = Printer()
    with loading():
        service = open_service(model, limits=limits, options=options, printer=printer)
    with tempfile.TemporaryDirectory(prefix="pictures-", ignore_cleanup_errors=True) as pictures:
        prepare_gradio(share=share, folder=pictures)
        with loading():
            from visionkit.serving.page import create_page
            from visionkit.serving.run_page import run_page
        printer.print(
            f"run      {service.run}, task {service.task}",
            *([] if warning is None else [warning]),
            *(["warning  share=true: what is dropped goes through gradio's servers to this machine"] if share else []),
        )

        def ready(public: str | None) -> None:
            printer.print(f"ready    {url}  (Ctrl-C ends it)")
            if share:
                printer.print(f"public   {public or 'no address could be had: gradio.live does not answer'}")

        run_page(
            create_page(service), host=address.host, port=port, hosts=hosts, share=share, max_bytes=limits.max_bytes,
            on_ready=ready,
        )  # fmt: skip
    return ExitCode.DONE
