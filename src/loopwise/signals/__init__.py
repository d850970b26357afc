"""Room 2: feedback becomes signals. The table of kinds, and the one pass over all feedback."""

from loopwise.signals.reading import READERS, read, signals

__all__ = ["READERS", "read", "signals"]
