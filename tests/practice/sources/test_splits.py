from __future__ import annotations

import hashlib

from loopwise.practice.sources.splits import SPLITS, in_split, problem_key


def key(text: str, role: str = "user") -> str:
    return problem_key([{"role": role, "content": text}])


def test_the_splits_cover_every_hundredth_once():
    assert sorted(i for part in SPLITS.values() for i in part) == list(range(100))
    assert {name: len(part) for name, part in SPLITS.items()} == {
        "held-out": 20, "final": 10, "practice": 60, "people": 10,
    }  # fmt: skip


def test_a_key_is_the_hash_of_the_roles_and_texts():
    expected = hashlib.sha256(b'[["user", "What is 2 + 2?"]]').hexdigest()[:32]
    assert key("What is 2 + 2?") == expected
    residue = int(expected[:16], 16) % 100
    assert [name for name in SPLITS if in_split(expected, name)] == [n for n, part in SPLITS.items() if residue in part]


def test_equal_questions_have_equal_keys():
    assert key("a b\nc") == key("  a b  \r\nc\n\n")
    assert key("caf\u00e9") == key("cafe\u0301")
    assert problem_key([{"role": "user", "content": "a", "name": "x"}]) == key("a")


def test_other_questions_have_other_keys():
    texts = ["a b", "a  b", "A b", "a\nb", "a b.", "", "a b c"]
    keys = {key(text) for text in texts} | {key("a b", role="system")}
    assert len(keys) == len(texts) + 1
