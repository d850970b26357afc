"""Every error that Loopwise raises on purpose.

LoopwiseError
├── UsageError             exit status 2: what was typed or configured is wrong
│   ├── SettingsError      loopwise.toml: unknown key, wrong type, missing file
│   └── UnknownNameError   a release, suite, dataset, turn or family that does not exist
├── ExternalError          exit status 3: something outside failed
│   ├── StoreError         locked, corrupted, unwritable, or made by a newer version
│   │   └── UnstorableError  a row that the database cannot hold; its neighbors are none the worse
│   │       └── ForgottenError  (exit status 2) it names an exchange that went with a forgotten person
│   ├── EngineError        the model's server is unreachable or answered with an error
│   ├── GatewayError       what Client sent was not acknowledged
│   │   ├── UnreachableError   no answer: it may or may not be kept
│   │   ├── BusyError          408, 429 or 5xx, after the last try
│   │   └── RefusedError       another 4xx: it will not be taken as it is
│   └── MissingExtraError  a package of an extra is not installed
├── TransitionError        exit status 1: the release table does not allow this step
└── TrainingError          exit status 1: a training run that must not become a candidate

Each message is a sentence: what is wrong, which value, and the way out. A refused gate, a wrong attempt or a
dropped example is a value, not an error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class LoopwiseError(Exception):
    """Base of the tree; ``exit_status`` is what the command line returns."""

    exit_status = 1


class UsageError(LoopwiseError):
    """What was typed or configured is wrong."""

    exit_status = 2


class SettingsError(UsageError):
    """A setting is unknown, of the wrong type, or names something that is not there."""


class UnknownNameError(UsageError):
    """A release, suite, dataset, turn or family that does not exist."""


class ExternalError(LoopwiseError):
    """Something outside Loopwise failed."""

    exit_status = 3


class StoreError(ExternalError):
    """The store is locked, corrupted, unwritable, or made by a newer version."""


class UnstorableError(StoreError):
    """A row that the database cannot hold: lone surrogates, NUL on Postgres, an object that is no JSON."""


class ForgottenError(UnstorableError):
    """A row names exchanges that went with a forgotten person; ``ids`` are theirs."""

    exit_status = 2

    def __init__(self, ids: frozenset[str]):
        super().__init__(sentence_on_forgotten(min(ids)))
        self.ids = ids


class EngineError(ExternalError):
    """The model's server is unreachable or answered with an error; ``status`` is its HTTP status, if any."""

    def __init__(self, message: str, status: int | None = None):
        super().__init__(message)
        self.status = status


class GatewayError(ExternalError):
    """What Client sent was not acknowledged. The message is the gateway's own sentence where it gave one; ``status`` is
    HTTP's, ``param`` and ``code`` as in OpenAI's errors. ``unsent`` are the rows that were not acknowledged, with the
    ids they were sent under: sending them again keeps each once."""

    def __init__(
        self,
        message: str,
        status: int | None = None,
        param: str | None = None,
        code: str | None = None,
        unsent: Sequence[Mapping[str, Any]] = (),
    ):
        super().__init__(message)
        self.status = status
        self.param = param
        self.code = code
        self.unsent = unsent


class UnreachableError(GatewayError):
    """No gateway answered in time: what was sent may or may not be kept."""


class BusyError(GatewayError):
    """The gateway could not take it now (408, 429 or 5xx), nor at the last try."""


class RefusedError(GatewayError):
    """The gateway will not take it as it is (another 4xx): the message says what was expected."""


class MissingExtraError(ExternalError):
    """A package of an extra is not installed."""


class TransitionError(LoopwiseError):
    """The release table does not allow this step."""


class TrainingError(LoopwiseError):
    """A training run that must not become a candidate: nothing to learn from, loss not a number, weights unchanged."""


def sentence_on_forgotten(exchange_id: str) -> str:
    """Why a row is refused that is or names the exchange ``exchange_id``."""
    return f"The exchange {exchange_id!r} went with a person who was forgotten: leave out what names it."


def missing_extra(package: str, extra: str = "loop") -> MissingExtraError:
    """The one sentence that says an extra is missing."""
    return MissingExtraError(
        f"The package {package!r} is not installed; it comes with the extra {extra!r}: pip install 'loopwise[{extra}]'."
    )
