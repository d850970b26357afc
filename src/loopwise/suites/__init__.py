"""What is evaluated on: suites made from sources or files, versioned by content, never trained on."""

from loopwise.suites.suite import from_file, load, make, overlap, save, version

__all__ = ["from_file", "load", "make", "overlap", "save", "version"]
