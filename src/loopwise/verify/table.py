"""The visible table of verifiers, and how a name becomes one."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from loopwise.errors import SettingsError, UnknownNameError
from loopwise.types import Verifier
from loopwise.verify.exact import exact
from loopwise.verify.number import number
from loopwise.verify.reasoning_gym import family

VERIFIERS: dict[str, Verifier] = {
    "exact": exact,
    "number": number,
}

# "prefix:argument" names a verifier that is made of its argument.
VERIFIERS_BY_PREFIX: dict[str, Callable[[str], Verifier]] = {
    "reasoning-gym": family,
}


def resolve(name: str) -> Verifier:
    """The verifier called ``name``. Raises UnknownNameError, or MissingExtraError when its package is not installed."""
    if name in VERIFIERS:
        return VERIFIERS[name]
    prefix, colon, argument = name.partition(":")
    if colon and prefix in VERIFIERS_BY_PREFIX:
        return VERIFIERS_BY_PREFIX[prefix](argument)
    close = difflib.get_close_matches(name, VERIFIERS, n=3)
    known = [*VERIFIERS, *(f"{prefix}:…" for prefix in VERIFIERS_BY_PREFIX)]
    hint = f"did you mean {' or '.join(close)}" if close else f"known are {', '.join(known)}"
    raise UnknownNameError(f"There is no verifier {name!r}; {hint}.")


def verifier(name: str) -> Callable[[Verifier], Verifier]:
    """Decorator that adds a verifier to the table, for modules named in ``[verify] modules``."""

    def register(function: Verifier) -> Verifier:
        if name in VERIFIERS:
            raise SettingsError(f"A verifier {name!r} exists already; give yours another name.")
        VERIFIERS[name] = function
        return function

    return register


def load_modules(modules: Sequence[str]) -> None:
    """Imports modules that register verifiers: dotted names, or paths that end in ``.py``. Raises SettingsError."""
    for module in modules:
        try:
            if module.endswith(".py"):
                _import_path(Path(module))
            else:
                importlib.import_module(module)
        except (ImportError, OSError, SyntaxError) as error:
            raise SettingsError(
                f"The verifier module {module!r} cannot be imported ({type(error).__name__}: {error}); "
                "name an importable module or the path of a Python file in [verify] modules."
            ) from error


def _import_path(path: Path) -> None:
    name = f"loopwise_verifiers_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
