"""Where a server listens: host and port, this machine alone unless a person types another."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import socket
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from visionkit.errors import UserError
from visionkit.schema import describe

__all__ = ["LOCALHOST", "Address", "network_warning", "url_of"]

LOCALHOST = "127.0.0.1"
_MAX_PORT = 65_535


@dataclass(frozen=True)
class Address:
    """Where a server listens.

    Attributes:
        host: A name or an address of this machine; ``0.0.0.0`` is all of its IPv4 addresses.
        port: 0 for any that is free.
    """

    host: str
    port: int

    @classmethod
    def read(cls, options: Mapping[str, Any], *, port: int) -> Address:
        """Parse ``host`` and ``port``; other keys are ignored.

        Args:
            options: What was typed.
            port: The port unless one was.

        Raises:
            UserError: If a value is invalid.
        """
        host, number = options.get("host", LOCALHOST), options.get("port", port)
        if not isinstance(host, str) or not host or "/" in host:
            raise UserError(
                f"host: found {describe(host)}, expected a name or an address of this machine. Try: host={LOCALHOST}"
            )
        if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= _MAX_PORT:
            raise UserError(
                f"port: expected a whole number from 0 to {_MAX_PORT:,}, found {describe(number)}. "
                f"Try: port={port}, or port=0 for any that is free"
            )
        return cls(host.strip("[]"), number)

    def bind(self) -> socket.socket:
        """A socket that is bound there and does not listen yet.

        Raises:
            UserError: If the port is taken or may not be used, or the host is none of this machine.
        """
        try:
            family, kind, protocol, _, place = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)[0]
        except (OSError, UnicodeError):
            raise UserError(f"host: '{self.host}' is not known. Try: host={LOCALHOST}") from None
        bound = socket.socket(family, kind, protocol)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(place)
        except OSError as error:
            bound.close()
            raise UserError(self._reason(error)) from None
        return bound

    def known_hosts(self, bound: socket.socket) -> Collection[str] | None:
        """The names that `HostCheck` lets in: where other machines reach the socket, any."""
        return (self.host,) if _is_of_this_machine(bound) else None

    def _reason(self, error: OSError) -> str:
        if error.errno == errno.EADDRINUSE:
            return (
                f"port: {self.port} is taken by another program, such as an earlier one of these. Stop that, or take "
                f"another: port={self.port % _MAX_PORT + 1}, or port=0 for any that is free"
            )
        if error.errno == errno.EACCES:
            return f"port: this user may not use {self.port}. Expected one above 1023. Try: port={8000 + self.port}"
        if error.errno == errno.EADDRNOTAVAIL:
            return f"host: '{self.host}' is no address of this machine. Try: host={LOCALHOST}"
        return f"host: '{self.host}' cannot be used: {error.strerror}. Try: host={LOCALHOST}"


def url_of(bound: socket.socket) -> str:
    """The address to type into a browser on this machine."""
    host, port = bound.getsockname()[:2]
    with contextlib.suppress(ValueError):
        if ipaddress.ip_address(host).is_unspecified:
            host = LOCALHOST if bound.family == socket.AF_INET else "::1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def network_warning(bound: socket.socket) -> str | None:
    """A warning where other machines reach a socket; None where they do not."""
    if _is_of_this_machine(bound):
        return None
    host = bound.getsockname()[0]
    return (
        f"warning  whoever reaches this machine over the network can use it: there is no password (host={host}). "
        f"For this machine alone: host={LOCALHOST}"
    )


def _is_of_this_machine(bound: socket.socket) -> bool:
    """Whether no other machine reaches a socket."""
    host = str(bound.getsockname()[0])
    return ipaddress.ip_address(host.split("%")[0]).is_loopback
