"""Who is told what happens in the gateway: metrics and telemetry, which record nothing that must not be lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from loopwise.types import Exchange, Feedback


class Observer(Protocol):
    """Called on the event loop for each exchange and feedback: returns at once and does not raise."""

    def exchanged(self, exchange: Exchange, recorded: bool) -> None:
        """An exchange has ended; ``recorded`` says whether it is on disk. Its text is already gone where ``store`` is
        False."""
        ...

    def opined(self, rows: Sequence[Feedback]) -> None:
        """Feedback is on disk."""
        ...

    def close(self) -> None:
        """The gateway has stopped: called in a thread, and waited for, so it ends within seconds."""
