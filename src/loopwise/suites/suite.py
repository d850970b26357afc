"""Makes suites, versions them by content, saves and loads them, and finds what they share with other problems."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, cast, get_args

from loopwise.errors import SettingsError
from loopwise.practice.sources import jsonl
from loopwise.practice.sources.splits import FINAL, HELD_OUT
from loopwise.practice.sources.table import take
from loopwise.types import Problem, Suite, SuiteRole

FORMAT = 1
DEFAULT_MARGIN = 0.05


def make(name: str, role: SuiteRole, specs: Sequence[str], n: int, seed: int, margin: float = DEFAULT_MARGIN) -> Suite:
    """A suite of ``n`` problems, evenly from the sources ``specs``, out of the split that the role reads.

    A final suite is drawn from the split ``final``, every other from ``held-out``; two suites of one source may share
    problems, practice shares none. Raises SettingsError when a source has too few, UnknownNameError for no source.
    """
    _check_role(name, role)
    if not specs or n < len(specs):
        raise SettingsError(f"The suite {name!r} needs at least one source, and a problem of each; n is {n}.")
    return _suite(name, role, take(specs, n, seed, FINAL if role == "final" else HELD_OUT), margin)


def from_file(name: str, role: SuiteRole, path: str, margin: float = DEFAULT_MARGIN) -> Suite:
    """A suite of every problem in a JSON Lines file, whatever its split. Raises SettingsError."""
    _check_role(name, role)
    problems = jsonl.read(path)
    if not problems:
        raise SettingsError(f"The file {path!r} of the suite {name!r} holds no problems; add rows to it.")
    return _suite(name, role, problems, margin)


def version(problems: Iterable[Problem]) -> str:
    """``sha256:…`` of what is asked and how it is judged: keys, messages, references, verifiers, in order."""
    digest = hashlib.sha256()
    for p in problems:
        row = [p.key, [dict(m) for m in p.messages], p.reference, p.verifier]
        digest.update(json.dumps(row, sort_keys=True).encode() + b"\n")
    return f"sha256:{digest.hexdigest()}"


def overlap(keys: Iterable[str], suites: Iterable[Suite]) -> dict[str, list[str]]:
    """For each suite that shares problems with ``keys``, the keys that it shares, in the suite's order."""
    given = frozenset(keys)
    shared = {suite.name: [p.key for p in suite.problems if p.key in given] for suite in suites}
    return {name: found for name, found in shared.items() if found}


def save(suite: Suite, path: Path) -> None:
    """Writes the suite as JSON."""
    document = {"format": FORMAT, **dataclasses.asdict(suite)}
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(document, ensure_ascii=True, indent=1) + "\n", encoding="utf-8")
    partial.rename(path)


def load(path: Path) -> Suite:
    """Reads what ``save`` wrote. Raises SettingsError when it is missing, damaged, or changed under its version."""
    try:
        document = cast("dict[str, Any]", json.loads(path.read_text(encoding="utf-8")))
        if document.pop("format") != FORMAT:
            raise SettingsError(
                f"The suite file {path} is of another format; remove the file and run 'loopwise init' again."
            )
        rows = cast("list[dict[str, Any]]", document.pop("problems"))
        problems = tuple(Problem(messages=tuple(row.pop("messages")), **row) for row in rows)
        suite = Suite(**document, problems=problems)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SettingsError(
            f"The suite file {path} cannot be read ({error}); remove the file and run 'loopwise init' again."
        ) from error
    if version(suite.problems) != suite.version:
        raise SettingsError(
            f"The problems in the suite file {path} are not those of its version {suite.version}; "
            "remove the file and run 'loopwise init' again, as scores compare within a version only."
        )
    return suite


def _suite(name: str, role: SuiteRole, problems: Sequence[Problem], margin: float) -> Suite:
    if not 0 <= margin <= 1:
        raise SettingsError(f"The margin of the suite {name!r} is {margin}; it must be a share between 0 and 1.")
    return Suite(name, role, version(problems), tuple(problems), margin)


def _check_role(name: str, role: str) -> None:
    if role not in get_args(SuiteRole):
        known = ", ".join(get_args(SuiteRole))
        raise SettingsError(f"The suite {name!r} has the role {role!r}; roles are {known}.")
