"""Every error that Loopwise raises on purpose.

LoopwiseError
├── UsageError             exit status 2: what was typed or configured is wrong
│   ├── SettingsError      loopwise.toml: unknown key, wrong type, missing file
│   └── UnknownNameError   a release, suite, dataset, turn or family that does not exist
├── ExternalError          exit status 3: something outside failed
│   ├── StoreError         locked, corrupted, unwritable, or made by a newer version
│   ├── EngineError        the model's server is unreachable or answered with an error
│   └── MissingExtraError  a package of an extra is not installed
├── TransitionError        exit status 1: the release table does not allow this step
└── TrainingError          exit status 1: a training run that must not become a candidate

Each message is a sentence: what is wrong, which value, and the way out. A refused gate, a wrong attempt or a
dropped example is a value, not an error.
"""


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


class EngineError(ExternalError):
    """The model's server is unreachable or answered with an error; ``status`` is its HTTP status, if any."""

    def __init__(self, message: str, status: int | None = None):
        super().__init__(message)
        self.status = status


class MissingExtraError(ExternalError):
    """A package of an extra is not installed."""


class TransitionError(LoopwiseError):
    """The release table does not allow this step."""


class TrainingError(LoopwiseError):
    """A training run that must not become a candidate: nothing to learn from, loss not a number, weights unchanged."""


def missing_extra(package: str, extra: str = "loop") -> MissingExtraError:
    """The one sentence that says an extra is missing."""
    return MissingExtraError(
        f"The package {package!r} is not installed; it comes with the extra {extra!r}: pip install 'loopwise[{extra}]'."
    )
