"""reasoning-gym: its families, and each family's own scorer as a verifier.

Known trouble in 0.1.25 that is mended here: boards of the ARC families are compared as tuples, which JSON does not
keep, and ``number_sorting`` accepts numbers that are off by one. Not mended: ``game_of_life_halting`` gives full
marks to any text; several families raise on text that they cannot read, which the pool makes a failed verdict of.
"""

from __future__ import annotations

import dataclasses
import difflib
import importlib
import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Protocol, cast

from loopwise.errors import SettingsError, UnknownNameError, missing_extra
from loopwise.types import JsonObject, Problem, Verifier

FROM_THE_RUN = frozenset({"seed", "size"})  # options that a source sets itself


class Family(Protocol):
    """What we use of reasoning-gym's ``ProceduralDataset``."""

    seed: int

    def __getitem__(self, idx: int) -> dict[str, Any]: ...

    def score_answer(self, answer: str | None, entry: JsonObject) -> float: ...


def families() -> dict[str, tuple[Callable[..., Family], type]]:
    """Every family with its dataset and settings classes. Raises MissingExtraError without reasoning-gym."""
    try:
        factory = importlib.import_module("reasoning_gym").factory
    except ModuleNotFoundError as error:
        if error.name != "reasoning_gym":
            raise
        raise missing_extra("reasoning-gym") from error
    return cast("dict[str, tuple[Callable[..., Family], type]]", factory.DATASETS)


def make(name: str, options: Mapping[str, Any], **run: int) -> Family:
    """The family ``name`` with ``options``. Raises UnknownNameError and SettingsError with close matches."""
    known = families()
    if name not in known:
        raise UnknownNameError(f"reasoning-gym has no family {name!r}; {_hint(name, list(known))}.")
    dataset_class, config_class = known[name]
    defaults = {f.name: f.default for f in dataclasses.fields(config_class)}
    for option, value in options.items():
        if option in FROM_THE_RUN:
            raise SettingsError(f"The option {option!r} of reasoning-gym:{name} comes from the run; leave it out.")
        if option not in defaults:
            names = [n for n in defaults if n not in FROM_THE_RUN]
            raise SettingsError(f"reasoning-gym:{name} has no option {option!r}; {_hint(option, names)}.")
        _check_type(name, option, value, defaults[option])
    try:
        config = config_class(**options, **run)
        return dataset_class(config=config)
    except (AssertionError, TypeError, ValueError) as error:
        raise SettingsError(f"reasoning-gym:{name} refuses the options {dict(options)}: {error}.") from error


def _check_type(family: str, option: str, value: object, default: object) -> None:
    wanted = type(default)
    fits = isinstance(value, (int, float)) if wanted is float else isinstance(value, wanted)
    if wanted in (int, float) and isinstance(value, bool):
        fits = False
    if wanted in (bool, int, float, str) and not fits:
        raise SettingsError(
            f"The option {option!r} of reasoning-gym:{family} is {value!r}; "
            f"it must be of type {wanted.__name__}, like {default!r}."
        )


def _hint(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=3)
    return f"did you mean {' or '.join(close)}" if close else f"known are {', '.join(sorted(known))}"


def family(name: str) -> Verifier:
    """The own scorer of family ``name``.

    ``metadata["entry"]`` of a problem is the entry it was made of; ``metadata["options"]`` (optional) are the options
    of its family, which some scorers look at. White space around an attempt is not part of it.
    """
    _scorer(name, "{}")  # imports and builds now, so that no attempt pays for it

    def verify(problem: Problem, attempt_text: str) -> float:
        scorer = _scorer(name, json.dumps(problem.metadata.get("options", {}), sort_keys=True))
        entry = problem.metadata["entry"]
        if name in _BOARD_FAMILIES:
            entry = _with_tuples(entry)
        answer = attempt_text.strip()
        score = scorer.score_answer(answer, entry)
        if name == "number_sorting" and score == 1.0:
            return float(_same_numbers(answer, entry))
        return score

    return verify


_BOARD_FAMILIES = frozenset({"arc_agi", "rearc"})


@lru_cache(maxsize=256)
def _scorer(name: str, options_json: str) -> Family:
    return make(name, json.loads(options_json))


def _with_tuples(entry: JsonObject) -> JsonObject:
    board = tuple(tuple(row) for row in entry["metadata"]["output"])
    return {**entry, "metadata": {**entry["metadata"], "output": board}}


def _same_numbers(answer: str, entry: JsonObject) -> bool:
    given = [float(n) for n in json.loads(answer.replace("'", '"'))]
    return given == [float(n) for n in entry["metadata"]["sorted_numbers"]]
