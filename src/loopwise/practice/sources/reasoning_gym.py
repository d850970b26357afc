"""Problems from any reasoning-gym family: ``reasoning-gym:FAMILY?option=value&…``."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

from loopwise.errors import SettingsError
from loopwise.practice.sources.splits import in_split, problem_key
from loopwise.types import Problem
from loopwise.verify.reasoning_gym import Family, make

BLOCK = 500  # entries per seed
MOST_MISSES = 2000  # entries in a row that are of another split or seen before; then the family counts as exhausted

# These draw from the seed when they are made, not entry by entry, and know no entry beyond their size.
_SEEDED_WHEN_MADE = frozenset({"acre", "gsm_symbolic", "list_functions", "survo", "word_ladder"})


def problems(spec: str, seed: int, split: str) -> Iterator[Problem]:
    """Distinct problems of ``split``, drawn by ``seed``; ends when 2,000 entries in a row brought nothing new.

    Raises UnknownNameError for a family and SettingsError for an option that does not exist.
    """
    name, options = _parse(spec)
    make(name, options)  # refuses here, not at the first problem
    return _distinct(spec, name, options, seed, split)


def _distinct(spec: str, name: str, options: dict[str, Any], seed: int, split: str) -> Iterator[Problem]:
    seen: set[str] = set()
    misses = 0
    for entry in _entries(spec, name, options, seed):
        messages = ({"role": "user", "content": entry["question"]},)
        key = problem_key(messages)
        if key in seen or not in_split(key, split):
            misses += 1
            if misses >= MOST_MISSES:
                return
            continue
        misses = 0
        seen.add(key)
        plain = json.loads(json.dumps(entry))  # as it will be when it comes back from a file
        metadata = {"entry": plain, "options": options} if options else {"entry": plain}
        yield Problem(key, spec, messages, plain["answer"], f"reasoning-gym:{name}", name, metadata)


def _entries(spec: str, name: str, options: dict[str, Any], seed: int) -> Iterator[dict[str, Any]]:
    block = 0
    while True:
        dataset = _dataset(name, options, _block_seed(spec, seed, block))
        for i in range(BLOCK):
            try:
                entry = dataset[i]
            except IndexError:  # word_ladder may know fewer than it was asked for
                break
            yield entry
        block += 1


def _dataset(name: str, options: dict[str, Any], seed: int) -> Family:
    if name in _SEEDED_WHEN_MADE:
        return make(name, options, seed=seed, size=BLOCK)
    dataset = copy.copy(_template(name, json.dumps(options, sort_keys=True)))  # word lists are read once
    dataset.seed = seed
    return dataset


@lru_cache(maxsize=64)
def _template(name: str, options_json: str) -> Family:
    return make(name, json.loads(options_json))


def _block_seed(spec: str, seed: int, block: int) -> int:
    """Far from other blocks' seeds, as entry i of a dataset is drawn from its seed + i; NumPy takes 32 bits."""
    digest = hashlib.sha256(f"{spec}\n{seed}\n{block}".encode()).digest()
    return int.from_bytes(digest[:4], "big") // BLOCK * BLOCK


def _parse(spec: str) -> tuple[str, dict[str, Any]]:
    name, _, query = spec.removeprefix("reasoning-gym:").partition("?")
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True) if query else []
    except ValueError as error:
        raise SettingsError(f"The options of source {spec!r} do not read as key=value&key=value ({error}).") from error
    return name, {key: _value(text) for key, text in pairs}


def _value(text: str) -> Any:
    """Integers, floats, true, false and lists as in JSON; anything else is text."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
