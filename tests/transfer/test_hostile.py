"""Rows with anything in any place: each is taken or refused with a reason, and never breaks the import."""

from __future__ import annotations

import copy
import csv
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loopwise.cli.progress import silent
from loopwise.store import Store
from loopwise.transfer.bring import import_file
from loopwise.transfer.formats import IMPORTS
from loopwise.transfer.row import Refused, Row, Taken

SAMPLES = Path(__file__).parent.parent / "data" / "imports"
JUNK: list[Any] = [
    None, True, False, 0, -1, 1.5, 10**30, 1e300, "", "x", "1", "\0", "2026-13-45", "[1", '{"a": 1}', [], [1], [[]],
    [None], ["x"], [{}], {}, {"a": 1}, {"role": 3}, {"content": []}, {"messages": 7}, {"choices": [1]}, {"rating": []},
]  # fmt: skip


def rows(format: str) -> list[Any]:
    names = {"open-webui": ["open-webui.json"], "langfuse": ["langfuse-scores.json", "langfuse-trace.json"]}
    found: list[Any] = []
    for name in names.get(format, []):
        value = json.loads((SAMPLES / name).read_text())
        found += value if isinstance(value, list) else [value]
    lines = {"langfuse": "langfuse-observations.jsonl", "openai": "openai-batch.jsonl"}
    if format in lines:
        found += [json.loads(line) for line in (SAMPLES / lines[format]).read_text().splitlines()]
    if format == "openai":
        for line in (SAMPLES / "openai-logs.jsonl").read_bytes().splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
    if format == "loopwise":
        found = exported()
    return [row for row in found if isinstance(row, dict)]


def first(format: str) -> Any:
    """A row that is as it should be: of our own export, the head, which has users hashed."""
    return {"type": "loopwise", "version": 1, "pseudonyms": False} if format == "loopwise" else rows(format)[0]


def exported() -> list[Any]:
    feedback = {"type": "feedback", "id": "f", "at": 1.0, "kind": "rating", "value": 2, "metadata": {"scale": [1, 5]}}
    pair = {**feedback, "id": "p", "kind": "preference", "value": {"chosen": "a", "rejected": "b"}, "user": "u"}
    exchange = {
        "type": "exchange", "id": "x", "at": 1.0, "model": "m", "release": "r", "fingerprint": "f", "arm": "external",
        "propensity": 1.0, "request": {"messages": [], "user": "u"}, "response": None, "status": 200, "latency_s": 0.0,
        "user": "u",
    }  # fmt: skip
    return [feedback, pair, exchange]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something stands in a row."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in inner:
        yield (*path, key)
        yield from places(child, (*path, key))


def spoiled(row: Any, rng: random.Random) -> Any:
    """The row with junk in a place, or without it."""
    changed = copy.deepcopy(row)
    for _ in range(rng.choice((1, 1, 2))):
        if not changed:
            return changed
        *path, last = rng.choice(list(places(changed)))
        holder = changed
        for key in path:
            holder = holder[key]
        if rng.random() < 0.2:
            del holder[last]
        else:
            holder[last] = copy.deepcopy(rng.choice(JUNK))
    return changed


@pytest.mark.parametrize("format", IMPORTS)
def test_whatever_stands_in_a_row_it_is_taken_or_refused(format: str):
    rng = random.Random(7)
    good = rows(format)
    hostile = [Row(0, first(format)), *(Row(line, spoiled(rng.choice(good), rng)) for line in range(1, 3_000))]
    found = list(IMPORTS[format].read(iter(hostile), b"key"))
    assert all(isinstance(row, Taken | Refused) for row in found)
    assert all(row.reason for row in found if isinstance(row, Refused))
    assert any(isinstance(row, Taken) for row in found)
    assert any(isinstance(row, Refused) for row in found)
    for row in hostile:
        assert isinstance(IMPORTS[format].knows(row.value), bool)


@pytest.mark.parametrize("format", IMPORTS)
def test_what_was_taken_can_be_stored(fresh: Store, tmp_path: Path, format: str):
    rng = random.Random(11)
    good = rows(format)
    path = tmp_path / "hostile.jsonl"
    lines = [first(format), *(spoiled(rng.choice(good), rng) for _ in range(400))]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    done = import_file(fresh, path, format, b"key", silent)
    assert done.exchanges + done.feedback > 0
    assert done.refused > 0


def test_a_table_of_junk_is_refused_cell_by_cell(fresh: Store, tmp_path: Path):
    rng = random.Random(13)
    with (SAMPLES / "langfuse-scores.csv").open(newline="") as file:
        head, *cells = list(csv.reader(file))
    path = tmp_path / "hostile.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(head)
        for _ in range(300):
            row = list(rng.choice(cells[:4]))
            row[rng.randrange(len(row))] = rng.choice(["", "x", "[", "{}", "nan", "-1", '"', "\n"])
            writer.writerow(row)
    done = import_file(fresh, path, "langfuse", b"key", silent)
    assert done.feedback > 0
    assert done.refused > 0
