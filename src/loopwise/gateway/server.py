"""Runs the gateway's application on a port of this machine."""

from __future__ import annotations

import errno
import socket

import uvicorn
from starlette.applications import Starlette

from loopwise.errors import ExternalError, SettingsError

_LOOPBACK = {"127.0.0.1": socket.AF_INET, "localhost": socket.AF_INET, "::1": socket.AF_INET6}
_FAREWELL_S = 5  # what running requests are given when the server is told to stop


def serve(app: Starlette, host: str, port: int) -> None:
    """Serves until SIGINT or SIGTERM. Port 0 takes any free one.

    Raises SettingsError for a host that is not loopback, ExternalError when the port cannot be had.
    """
    with bound(host, port) as listener:
        config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=_FAREWELL_S)
        uvicorn.Server(config).run(sockets=[listener])


def bound(host: str, port: int) -> socket.socket:
    """A listening socket. Raises as ``serve`` does."""
    if host not in _LOOPBACK:
        raise SettingsError(
            f"[gateway] host = {host!r} would serve other machines, which takes API keys, and those do not exist yet: "
            'write host = "127.0.0.1", and put a proxy that checks who calls in front.'
        )
    try:
        return socket.create_server((host, port), family=_LOOPBACK[host], backlog=2048)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            way_out = "another program listens there; stop it, or choose another [gateway] port"
        else:
            way_out = "choose another [gateway] port"
        raise ExternalError(f"Cannot listen on {host}:{port} ({error.strerror}): {way_out}.") from error
