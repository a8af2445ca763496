"""The verb ``serve``: a run as a small HTTP endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from visionkit.console import Printer, loading
from visionkit.errors import ExitCode
from visionkit.registry import check_installed
from visionkit.serving.address import Address, network_warning, url_of
from visionkit.serving.served_model import ServedModel, open_service
from visionkit.serving.uploads import UploadLimits

__all__ = ["serve"]

_PORT = 8000


def serve(model: ServedModel, *, options: Mapping[str, Any]) -> int:
    """Answer requests with predictions until a signal ends it.

    Args:
        model: A run or an exported file.
        options: ``host``, ``port``, ``max_bytes``, ``max_pixels`` and ``value_range``, where they were typed.

    Returns:
        0.

    Raises:
        UserError: If an option is wrong, a package is missing, the port is taken or there is no model.
    """
    address, limits = Address.read(options, port=_PORT), UploadLimits.read(options)
    check_installed("fastapi", "uvicorn", "python_multipart", needed_by="serve", extra="demo")
    with address.bind() as bound:
        with loading():
            from visionkit.serving.app import create_app
            from visionkit.serving.run_app import run_app
        printer = Printer()
        service = open_service(model, limits=limits, options=options, printer=printer)
        url = url_of(bound)
        warning = network_warning(bound)
        bound.listen()  # who connects from here on is answered, if after a moment
        printer.print(
            f"run      {service.run}, task {service.task}",
            *([] if warning is None else [warning]),
            f"ready    {url}  (Ctrl-C ends it)",
            f"try      curl -F image=@photo.jpg {url}/predict",
        )
        run_app(create_app(service, hosts=address.known_hosts(bound), on_request=printer.print), bound)
    return ExitCode.DONE
