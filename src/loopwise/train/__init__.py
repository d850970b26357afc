# pyright: basic
"""Room 4: a dataset becomes a candidate. Importing it loads torch, transformers and TRL, which takes seconds."""

from loopwise.train.run import train
from loopwise.train.settings import RunSettings

__all__ = ["RunSettings", "train"]
