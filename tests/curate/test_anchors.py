from __future__ import annotations

import json

import pytest

from loopwise.curate.anchors import load, n_needed
from loopwise.errors import SettingsError


def test_rows_of_both_forms_are_read(tmp_path):
    path = tmp_path / "anchors.jsonl"
    rows = [
        {"id": "a1", "messages": [{"role": "user", "content": "q"}], "completion": "a", "source": "s", "segment": "g"},
        {"prompt": "p", "reference": "b"},
    ]
    path.write_text("\n\n".join(json.dumps(row) for row in rows), encoding="utf-8")

    first, second = load(path)

    assert (first.completion, first.kind, first.source, first.segment) == ("a", "anchor", "s", "g")
    assert first.provenance == ("a1",)
    assert (second.messages, second.completion) == (({"role": "user", "content": "p"},), "b")
    assert (second.source, second.provenance, second.order) == ("anchors.jsonl", ("anchors.jsonl:3",), 1)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 1: this is no JSON"),
        ("[]", "must be an object"),
        ('{"prompt": "q"}', "right answer as text"),
        ('{"reference": "a"}', "needs 'prompt'"),
        ('{"messages": [{"role": "user"}], "reference": "a"}', "needs 'role' and 'content'"),
    ],
)
def test_a_malformed_row_is_named_by_its_line(tmp_path, line, message):
    path = tmp_path / "anchors.jsonl"
    path.write_text(line, encoding="utf-8")

    with pytest.raises(SettingsError, match=message):
        load(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SettingsError, match="correct \\[anchors\\] path"):
        load(tmp_path / "none.jsonl")


@pytest.mark.parametrize(
    ("others", "anchors", "share", "needed"),
    [
        (90, 5, 0.1, 10),
        (98, 5, 0.0, 2),
        (99, 5, 0.0, 3),
        (100, 0, 0.5, 0),
        (0, 5, 0.5, 0),
        (50, 5, 0.5, 50),
    ],
)
def test_how_many_anchors_a_share_needs(others, anchors, share, needed):
    assert n_needed(others, anchors, share) == needed
