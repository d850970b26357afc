"""Langfuse's exports: scores of each type and source, generations and traces, as JSON, JSON lines and CSV."""

from __future__ import annotations

from typing import Any


def test_scores_become_feedback_of_the_kind_that_their_type_says(bring: Any, held: Any, hashed: Any):
    bring("langfuse-scores.json", "langfuse")
    _, feedback = held()
    found = [(row.kind, row.value, row.exchange_id, row.episode_id, row.source, row.user) for row in feedback.values()]
    ada, person = hashed("Ada Annotator"), hashed("user-17")
    assert found == [
        ("metric", 1.0, "tr-1", "tr-1", "human", person),
        ("metric", 0.5, "obs-1", "tr-1", "human", ada),
        ("comment", "friendly", "obs-1", "tr-1", "judge", None),
        ("correction", "Reset it under Settings, Security.", "obs-1", "tr-1", "human", ada),
        ("metric", 9.0, None, "session-9", "human", None),
    ]
    first, _, tone, *_ = feedback.values()
    assert first.metadata == {"boolean": True, "name": "user-feedback", "langfuse_source": "API"}
    assert (first.comment, first.at) == ("exactly what I needed", 1772359205.0)  # 2026-03-01T10:00:05Z
    assert tone.metadata == {"name": "tone", "type": "categorical", "langfuse_source": "EVAL"}


def test_bad_scores_are_told_with_the_reason(bring: Any):
    assert bring("langfuse-scores.json", "langfuse").as_dict()["refused"] == [
        {"line": 6, "reason": "value must be a number; it was 'high'."},
        {"line": 7, "reason": "source must be one of ANNOTATION, API, EVAL; it was 'ROBOT'."},
    ]


def test_the_csv_of_the_same_scores_is_the_same_feedback(bring: Any, held: Any):
    bring("langfuse-scores.json", "langfuse")
    done = bring("langfuse-scores.csv", "langfuse")
    assert (done.feedback, done.known) == (0, 4)
    assert [(row.line, row.reason) for row in done.told] == [(6, "The row does not have 18 cells, as the head.")]


def test_generations_become_exchanges_and_spans_are_left_out(bring: Any, held: Any, hashed: Any):
    done = bring("langfuse-observations.jsonl", "langfuse")
    assert (done.exchanges, done.left_out, done.refused) == (3, 1, 1)
    assert done.told[0].reason == "input is empty: the row does not say what was asked."
    exchanges, _ = held()
    first = exchanges["obs-1"]
    assert first.request == {
        "temperature": 0.2,
        "max_tokens": 256,
        "model": "gpt-4o-mini",
        "messages": [
            {"role": "system", "content": "You help customers."},
            {"role": "user", "content": "How do I reset my password?"},
        ],
    }
    assert first.response is not None
    assert first.response["choices"][0]["message"] == {"role": "assistant", "content": "Ask support."}
    assert first.response["usage"] == {"prompt_tokens": 21, "completion_tokens": 5, "total_tokens": 26}
    assert (first.at, first.latency_s, first.first_token_s) == (1772359200.0, 2.5, 0.75)
    assert (first.user, first.episode, first.status) == (hashed("user-17"), "tr-1", 200)
    plain, failed = exchanges["obs-3"], exchanges["obs-4"]
    assert plain.request["messages"] == [{"role": "user", "content": "Hello?"}]
    assert (failed.status, failed.error, failed.response) == (500, "429 rate limited", None)


def test_scores_and_generations_meet_in_any_order(bring: Any, held: Any):
    bring("langfuse-scores.json", "langfuse")
    bring("langfuse-observations.jsonl", "langfuse")
    exchanges, feedback = held()
    assert {row.exchange_id for row in feedback.values()} & set(exchanges) == {"obs-1"}
    assert {row.episode_id for row in feedback.values()} & {row.episode for row in exchanges.values()} == {"tr-1"}


def test_what_is_said_of_a_trace_with_one_answer_is_said_of_that_answer(bring: Any, held: Any):
    done = bring("langfuse-trace.json", "langfuse")
    assert (done.exchanges, done.feedback, done.refused) == (1, 1, 0)
    exchanges, feedback = held()
    assert set(exchanges) == {"obs-7"}
    assert [(row.exchange_id, row.value) for row in feedback.values()] == [("obs-7", 0.0)]


def test_a_trace_of_the_traces_table_is_an_exchange_of_its_own(bring: Any, held: Any, tmp_path: Any):
    path = tmp_path / "traces.csv"
    path.write_text(
        "id,timestamp,name,userId,sessionId,input,output\n"
        'tr-1,"""2026-03-01T10:00:00.000Z""",chat,user-17,session-9,"{""messages"":[{""role"":""user"",""content"":""Hi""}]}",Hello\n'
    )
    assert bring(path, "langfuse").exchanges == 1
    [found] = held()[0].values()
    assert (found.id, found.at, found.episode) == ("tr-1", 1772359200.0, "session-9")
    assert found.request["messages"] == [{"role": "user", "content": "Hi"}]


def test_a_score_that_was_changed_is_a_further_feedback(bring: Any, held: Any, tmp_path: Any):
    import json

    page = {"data": [], "meta": {"page": 1}}
    for value in (0.0, 1.0, 1.0):
        score = {"id": "s", "traceId": "t", "name": "ok", "source": "API", "dataType": "NUMERIC", "value": value}
        (tmp_path / "page.json").write_text(json.dumps({**page, "data": [score]}, indent=2))
        bring(tmp_path / "page.json", "langfuse")
    assert [row.value for row in held()[1].values()] == [0.0, 1.0]
