"""OpenAI-style logs: requests with responses, fine-tuning examples, stored completions, the Batch API."""

from __future__ import annotations

import json
from typing import Any

import pytest


def answers(exchanges: Any) -> list[tuple[str, str, Any]]:
    return [
        (
            row.id,
            row.request["messages"][-1]["content"],
            row.response and row.response["choices"][0]["message"]["content"],
        )
        for row in exchanges.values()
    ]


def test_each_shape_of_a_line_is_an_exchange(bring: Any, held: Any, hashed: Any):
    assert bring("openai-logs.jsonl", "openai").exchanges == 5
    exchanges, _ = held()
    first, second, tuning, short, stored = exchanges.values()
    assert [(asked, told) for _, asked, told in answers(exchanges)] == [
        ("2+2?", "4"), ("3+3?", "6"), ("Capital of Chile?", "Santiago"), ("Hi", "Hello"), ("4+5?", "9"),
    ]  # fmt: skip
    assert (first.id, first.at, first.user, first.latency_s) == ("msg-1", 1767225601.0, hashed("user-17"), 0.8)
    assert (first.upstream_id, first.fingerprint) == ("chatcmpl-1", "upstream:fp_0aa8d3e20b")
    assert first.request["temperature"] == 0
    assert (second.id, second.at) == ("chatcmpl-2", 1767225600.0)
    assert (tuning.model, tuning.request["messages"][0]["role"]) == ("unknown", "system")
    assert (short.model, short.at) == ("m", 1767225700.0)
    assert (stored.id, stored.model) == ("chatcmpl-3", "gpt-4o-mini-2024-07-18")
    assert "messages" not in (stored.response or {})


def test_broken_lines_are_told_and_the_others_kept(bring: Any):
    assert bring("openai-logs.jsonl", "openai").as_dict()["refused"] == [
        {"line": 3, "reason": "The line is not JSON (Expecting value at character 51)."},
        {"line": 8, "reason": "The last message is not the assistant's: the row holds no answer."},
        {"line": 9, "reason": "A row must be a JSON object; it was '[1, 2]'."},
        {"line": 10, "reason": "The line is not UTF-8 text (invalid start byte at byte 13)."},
    ]


def test_a_batchs_answers_find_their_requests(bring: Any, held: Any):
    done = bring("openai-batch.jsonl", "openai")
    exchanges, _ = held()
    assert answers(exchanges) == [("chatcmpl-b2", "2+2?", "4"), ("batch_req_2", "1+1?", None)]
    failed = exchanges["batch_req_2"]
    assert (failed.status, failed.error) == (400, "too long")
    assert failed.request["metadata"] == {"custom_id": "request-1"}
    assert [(row.line, row.reason) for row in sorted(done.told, key=lambda row: row.line)] == [
        (3, "The batch's request 'request-3' has no answer in this file."),
        (6, "The file does not hold what was asked under the custom_id 'request-9': put the batch's input before its "
            "output (cat input.jsonl output.jsonl)."),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("request_", "response", "endpoint"),
    [
        ({"prompt": "1,2,"}, {"object": "text_completion", "choices": [{"text": "3"}]}, "completions"),
        ({"input": "hi"}, {"id": "resp_1", "object": "response", "output": [{"type": "message"}]}, "responses"),
        ({"input": "hi"}, {"object": "list", "data": [{"index": 0, "embedding": [0.5]}]}, "embeddings"),
    ],
)
def test_other_endpoints_are_told_by_their_requests(
    bring: Any, held: Any, tmp_path: Any, request_: Any, response: Any, endpoint: str
):
    path = tmp_path / "log.jsonl"
    path.write_text(json.dumps({"id": "x", "request": {"model": "m", **request_}, "response": response}) + "\n")
    assert bring(path, "openai").told == []
    assert held()[0]["x"].endpoint == endpoint


def test_text_that_must_not_be_stored_is_not(bring: Any, held: Any, fresh: Any, tmp_path: Any):
    path = tmp_path.parent / "log.jsonl"
    row = {"id": "x", "messages": [{"role": "user", "content": "my secret"}], "content": "kept quiet", "store": False}
    path.write_text(json.dumps({**row, "model": "m"}) + "\n")
    bring(path, "openai")
    assert (held()[0]["x"].store, held()[0]["x"].train) == (False, False)
    content = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert b"my secret" not in content
    assert b"kept quiet" not in content
