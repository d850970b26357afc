"""Runs the gateway's application on a port of this machine."""

from __future__ import annotations

import errno
import gc
import ipaddress
import resource
import socket
from typing import Any

import uvicorn
from starlette.applications import Starlette

from loopwise.config import GatewaySettings
from loopwise.errors import ExternalError, SettingsError
from loopwise.gateway.patience import Patience, patient

_FAREWELL_S = 5  # what running requests are given when the server is told to stop
_CONNECTIONS_PER_REQUEST = 4  # clients keep idle ones for the next request
_FILES_PER_CONNECTION = 2  # each may want one upstream
_OTHER_FILES = 128  # the store, logs, libraries
_FILES_WANTED = 65_536  # some systems name a higher limit than they grant


def serve(app: Starlette, settings: GatewaySettings, keys: bool) -> None:
    """Serves on ``settings.host`` and ``port`` until SIGINT or SIGTERM. ``keys``: an API key exists with which a
    program elsewhere could call.

    Raises SettingsError for a host that is not loopback while there is none, ExternalError when the port cannot be had.
    """
    _collect_less()
    with bound(settings.host, settings.port, keys) as listener:
        uvicorn.Server(server_config(app, patience_for(settings))).run(sockets=[listener])


def _collect_less() -> None:
    """Lets the garbage collector run less often, and never over what start-up made. A request leaves hardly any cycles
    behind; at the defaults some of the processor's time, and the longest pauses, went into looking for them."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def server_config(app: Starlette, patience: Patience) -> uvicorn.Config:
    """How uvicorn serves the gateway."""
    return uvicorn.Config(
        app,
        http=patient(patience),
        ws="none",  # no route speaks it, and an upgrade would leave the limits behind
        log_level="warning",
        access_log=False,
        proxy_headers=False,  # nothing here may depend on what a client says of its address
        server_header=False,
        timeout_keep_alive=patience.idle_s,
        timeout_graceful_shutdown=_FAREWELL_S,
    )


def patience_for(settings: GatewaySettings) -> Patience:
    """The limits that follow from the settings and from what the system lets one process open."""
    files = _most_files()
    connections = min(_CONNECTIONS_PER_REQUEST * settings.requests, (files - _OTHER_FILES) // _FILES_PER_CONNECTION)
    # The application refuses a body over the limit in a sentence; one that keeps coming after that is cut off here.
    return Patience(body_bytes=int(2 * settings.body_mb * 1e6), connections=max(1, connections))


def bound(host: str, port: int, keys: bool = False) -> socket.socket:
    """A listening socket; port 0 takes any free one. Raises as ``serve`` does."""
    refuse_unkeyed(host, keys)
    family, address = _resolved(host, port)
    try:
        return socket.create_server(address, family=family, backlog=2048, dualstack_ipv6=host == "::")
    except OSError as error:
        ways_out = {
            errno.EADDRINUSE: "another program listens there; stop it, or choose another [gateway] port",
            errno.EADDRNOTAVAIL: "this machine has no such address; correct [gateway] host",
        }
        way_out = ways_out.get(error.errno or 0, "choose another [gateway] port")
        raise ExternalError(f"Cannot listen on {host}:{port} ({error.strerror}): {way_out}.") from error


def refuse_unkeyed(host: str, keys: bool) -> None:
    """Raises SettingsError where other machines would be served and there is no key with which to tell them apart."""
    if not keys and not _is_loopback(host):
        raise SettingsError(
            f"[gateway] host = {host!r} would serve other machines, which takes an API key, and there is none that "
            "could call the model: make one with 'loopwise keys create NAME --role operator', or write host = "
            '"127.0.0.1".'
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _resolved(host: str, port: int) -> tuple[socket.AddressFamily, Any]:
    if host == "localhost":
        host = "127.0.0.1"  # clients that are given this name try both families; one listener serves one
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except socket.gaierror as error:
        raise SettingsError(f"[gateway] host = {host!r} is no address of a machine ({error.strerror}).") from error
    return family, address


def _most_files() -> int:
    """How many files and sockets this process may have open, raised to what the system allows it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES_WANTED if hard == resource.RLIM_INFINITY else min(hard, _FILES_WANTED)
    if wanted > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return max(soft, wanted)
