"""Loopwise closes the loop around a language model; ``loop.py`` is the file to read first."""

__version__ = "0.1.0"
