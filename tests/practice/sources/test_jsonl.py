from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

import pytest

from loopwise.errors import SettingsError, UnknownNameError
from loopwise.practice.sources import jsonl, table
from loopwise.practice.sources.splits import SPLITS, in_split, problem_key


def write(path: Path, rows: list[object]) -> str:
    path.write_text("\n".join(r if isinstance(r, str) else json.dumps(r) for r in rows), encoding="utf-8")
    return str(path)


def test_rows_become_problems(tmp_path: Path):
    spec = write(tmp_path / "p.jsonl", [
        {"id": "a", "prompt": "2 + 2?", "reference": "4", "verifier": "number", "segment": "sums"},
        "",
        {"id": "b", "messages": [{"role": "system", "content": "Brief."}, {"role": "user", "content": "Hi\u2028you"}]},
        {"id": "c", "prompt": " 2 + 2? \n", "reference": "5"},
    ])  # fmt: skip
    first, second = jsonl.read(spec)
    assert (first.messages, first.reference) == (({"role": "user", "content": "2 + 2?"},), "4")
    assert (first.verifier, first.segment, first.source, first.metadata) == ("number", "sums", spec, {"id": "a"})
    assert first.key == problem_key([{"role": "user", "content": "2 + 2?"}])
    assert (second.reference, second.verifier, second.messages[1]["content"]) == (None, "exact", "Hi\u2028you")


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("{", "line 2: this is no JSON"),
        ("[1]", "line 2: a row must be an object"),
        ({"id": "x", "promt": "?"}, "line 2: unknown field 'promt'; known are id, messages, prompt"),
        ({"prompt": "?"}, "line 2: the row has no 'id'"),
        ({"id": "x"}, "line 2: a row needs either 'messages' or 'prompt'"),
        ({"id": "x", "prompt": "?", "messages": []}, "line 2: a row needs either 'messages' or 'prompt'"),
        ({"id": "x", "prompt": "?", "reference": 4}, "line 2: 'reference' is 4; it must be text"),
        ({"id": "x", "messages": []}, "line 2: 'messages' must be a list"),
        ({"id": "x", "messages": ["hi"]}, "line 2: the message 'hi' needs 'role' and 'content'"),
        ({"id": "x", "prompt": "?", "metadata": 3}, "line 2: 'metadata' is 3; it must be an object"),
    ],
)
def test_a_bad_row_is_named_by_its_line(tmp_path: Path, row: object, sentence: str):
    spec = write(tmp_path / "p.jsonl", [{"id": "a", "prompt": "fine"}, row])
    with pytest.raises(SettingsError) as caught:
        jsonl.read(spec)
    assert f"{spec}, {sentence}" in str(caught.value)


def test_a_missing_file_is_a_sentence():
    with pytest.raises(SettingsError, match=r"problems in 'nowhere.jsonl' cannot be read"):
        jsonl.problems("nowhere.jsonl", 1, "practice")


def test_splits_share_the_file_out_and_the_seed_decides_the_order(tmp_path: Path):
    spec = write(tmp_path / "p.jsonl", [{"id": str(i), "prompt": f"Question {i}"} for i in range(300)])
    keys = {split: [p.key for p in table.problems(spec, 1, split)] for split in SPLITS}
    assert sum(len(part) for part in keys.values()) == len(set().union(*keys.values())) == 300
    assert all(in_split(key, split) for split, part in keys.items() for key in part)
    other = [p.key for p in table.problems(spec, 2, "practice")]
    assert other != keys["practice"]
    assert set(other) == set(keys["practice"])


def test_sources_take_turns_until_they_end(tmp_path: Path):
    few = write(tmp_path / "few.jsonl", [{"id": str(i), "prompt": f"Question {i}"} for i in range(20)])
    n_few = len(list(table.problems(few, 1, "practice")))
    assert 3 < n_few < 20
    drawn = list(islice(table.mixed([few, "reasoning-gym:gcd"], 1, "practice"), 60))
    assert [p.source for p in drawn[:4]] == [few, "reasoning-gym:gcd"] * 2
    assert sum(p.source == few for p in drawn) == n_few
    assert len({p.key for p in drawn}) == 60


def test_equal_shares_are_taken_from_each_source():
    taken = table.take(["reasoning-gym:gcd", "reasoning-gym:lcm", "reasoning-gym:gcd"], 31, 1, "final")
    assert [sum(p.segment == s for p in taken) for s in ("gcd", "lcm")] == [21, 10]
    assert len({p.key for p in taken}) == 31


def test_an_unknown_source_is_a_sentence():
    with pytest.raises(UnknownNameError, match="There is no source 'gcd'; a source is reasoning-gym:FAMILY"):
        table.problems("gcd", 1, "practice")
