"""TensorZero's feedback calls, as its documentation and its server's tests make them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import httpx
import pytest

from loopwise.store import Store, feedback as rows
from loopwise.types import Feedback, JsonObject

INFERENCE = "0193da94-231b-72e0-bda1-dfd0f681462c"


def send(gateway: str, **body: Any) -> httpx.Response:
    return httpx.post(f"{gateway}/feedback", json=body)


def stored(store: Store) -> list[Feedback]:
    with store.reading() as conn:
        return [row for _, row in rows.up_to(conn, rows.watermark(conn))]


@pytest.mark.parametrize(
    ("body", "kind", "value", "metadata"),
    [
        ({"metric_name": "draft_accepted", "value": True}, "metric", 1.0, {"boolean": True, "name": "draft_accepted"}),
        ({"metric_name": "draft_accepted", "value": False}, "metric", 0.0, {"boolean": True, "name": "draft_accepted"}),
        ({"metric_name": "stars", "value": 4}, "metric", 4.0, {"name": "stars"}),
        ({"metric_name": "stars", "value": 1}, "metric", 1.0, {"name": "stars"}),
        ({"metric_name": "comment", "value": "too long"}, "comment", "too long", {}),
        ({"metric_name": "demonstration", "value": "42"}, "correction", "42", {}),
        ({"metric_name": "demonstration", "value": {"a": 1}}, "correction", '{"a": 1}', {}),
        (
            {"metric_name": "demonstration", "value": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
            "correction",
            "a\nb",
            {},
        ),
        ({"metric_name": "m", "value": 1.5, "tags": {"a": "b"}}, "metric", 1.5, {"tags": {"a": "b"}, "name": "m"}),
    ],
)
def test_what_tensorzero_calls_feedback_is_ours(
    gateway: str, store: Store, body: JsonObject, kind: str, value: Any, metadata: JsonObject
):
    # nulls and defaults, as TensorZero's own clients write them out
    answer = send(gateway, inference_id=INFERENCE, episode_id=None, internal=False, dryrun=None, **body)
    assert answer.status_code == 202
    [row] = stored(store)
    assert (row.kind, row.value, row.metadata, row.exchange_id) == (kind, value, metadata, INFERENCE)
    assert not isinstance(row.value, bool)
    assert answer.json() == {"feedback_id": row.id}
    assert UUID(row.id).version == 7


def test_a_metric_of_an_episode_names_the_episode(gateway: str, store: Store):
    assert send(gateway, episode_id=INFERENCE, metric_name="solved", value=True).status_code == 200
    assert [(row.exchange_id, row.episode_id) for row in stored(store)] == [(None, INFERENCE)]


def test_feedback_on_an_answer_of_ours_is_joined_at_once(gateway: str, store: Store):
    body = {"model": "loopwise", "messages": [{"role": "user", "content": "hi"}], "user": "lena"}
    exchange_id = httpx.post(f"{gateway}/v1/chat/completions", json=body).json()["id"]
    answer = send(gateway, inference_id=exchange_id, metric_name="ok", value=True, tags={"user_id": "lena"})
    assert answer.status_code == 200
    row = next(row for row in stored(store) if row.kind == "metric")
    assert len(str(row.user)) == 32
    assert "lena" not in str(row)  # the user's name is kept nowhere, not among the tags either


def test_a_dry_run_is_checked_and_writes_nothing(gateway: str, store: Store):
    answer = send(gateway, inference_id=INFERENCE, metric_name="ok", value=True, dryrun=True)
    assert (answer.status_code, UUID(answer.json()["feedback_id"]).version) == (200, 7)
    assert send(gateway, inference_id=INFERENCE, metric_name="ok", value="x", dryrun=True).status_code == 400
    assert stored(store) == []


WRONG: list[tuple[JsonObject, str]] = [
    (
        {"metric_name": "ok", "value": "yes"},
        "the metric 'ok' takes true, false or a number as value; it was 'yes'.",
    ),
    ({"metric_name": "ok"}, "value: Field required"),
    ({"metric_name": "comment", "value": 3}, "a comment takes a text"),
    ({"metric_name": "comment", "value": ""}, "a comment takes a text"),
    ({"metric_name": "demonstration", "value": ""}, "it is empty"),
    ({"metric_name": "demonstration", "value": [{"type": "tool_call", "name": "f"}]}, "tool calls are not taken"),
    ({"metric_name": "ok", "value": True, "episode_id": "e"}, "either inference_id or episode_id, and not both"),
    ({"metric_name": "ok", "value": True, "inference_id": None}, "either inference_id or episode_id"),
    ({"metric_name": "demonstration", "value": "x", "inference_id": None, "episode_id": "e"}, "of one answer"),
    ({"metric_name": "ok", "value": True, "tags": {"a": 1}}, "tags.a: Input should be a valid string; it was 1."),
    ({"metric_name": "ok", "value": True, "colour": "red"}, "colour: Extra inputs are not permitted"),
    ({"metric_name": "ok", "value": 10**400}, "takes a number as value"),
]


def test_a_wrong_call_is_a_sentence_and_nothing_is_stored(gateway: str, store: Store):
    for body, message in WRONG:
        answer = send(gateway, **{"inference_id": INFERENCE, **body})
        assert answer.status_code == 400
        assert message in answer.json()["error"]["message"]
    assert stored(store) == []
