"""Room 2: feedback becomes signals. The table of kinds, and the one pass over all feedback that weighs them."""

from loopwise.signals.reading import READERS, read
from loopwise.signals.weighed import about
from loopwise.signals.weighing import Weighing, weigh

__all__ = ["READERS", "Weighing", "about", "read", "weigh"]
