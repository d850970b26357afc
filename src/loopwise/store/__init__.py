"""Remembers everything: one module per noun, each a set of functions on a connection that ``Store`` opens."""

from loopwise.store.database import Store

__all__ = ["Store"]
