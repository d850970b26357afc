"""Loopwise closes the loop around a language model; ``loop.py`` is the file to read first."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loopwise.client import AsyncClient, Client
    from loopwise.verify.table import verifier

__version__ = "0.1.0"
__all__ = ["AsyncClient", "Client", "verifier"]

_HOMES = {"AsyncClient": "loopwise.client", "Client": "loopwise.client", "verifier": "loopwise.verify.table"}


def __getattr__(name: str) -> Any:
    """The names above are looked up when they are used (PEP 562), so that ``import loopwise`` loads nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
