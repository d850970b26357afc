# pyright: basic
"""Room 4: a dataset becomes a candidate. Importing it loads torch, transformers and TRL, which takes seconds."""

from loopwise.train.settings import SftSettings
from loopwise.train.sft import train_sft

__all__ = ["SftSettings", "train_sft"]
