"""Open WebUI's feedback export: thumbs with their reasons, the answers they are about, and what cannot be taken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

MESSAGE = "11111111-0000-4000-8000-00000000000"
FEEDBACK = "open-webui:aaaaaaaa-0000-4000-8000-00000000000"
CHAT = "cccccccc-0000-4000-8000-000000000001"
ASKER = "uuuuuuuu-0000-4000-8000-000000000001"


def test_the_rated_answer_and_what_it_was_compared_with_become_exchanges(bring: Any, held: Any, hashed: Any):
    bring("open-webui.json", "open-webui")
    exchanges, _ = held()
    assert set(exchanges) == {MESSAGE + "2", MESSAGE + "4", MESSAGE + "5"}
    rated, sibling = exchanges[MESSAGE + "4"], exchanges[MESSAGE + "5"]
    assert rated.request == {
        "messages": [
            {"role": "user", "content": "Name the river of Dresden."},
            {"role": "assistant", "content": "The Elbe."},
            {"role": "user", "content": "And of Köln?"},
        ],
        "model": "llama3.1:8b",
    }
    assert rated.response is not None
    assert rated.response["choices"][0]["message"]["content"] == "The Main."
    # the arena's alias stands for the model that was drawn
    assert [(row.model, row.release, row.arm) for row in (rated, sibling)] == [
        ("llama3.1:8b", "external:llama3.1:8b", "external"),
        ("qwen2.5:7b", "external:qwen2.5:7b", "external"),
    ]
    assert (rated.at, rated.episode, rated.user) == (1731600013.0, CHAT, hashed(ASKER))
    first = exchanges[MESSAGE + "2"]
    assert first.response is not None
    assert first.response["usage"]["total_tokens"] == 18
    assert first.request["messages"] == [{"role": "user", "content": "Name the river of Dresden."}]


def test_ratings_become_thumbs_ratings_and_comments(bring: Any, held: Any, hashed: Callable[[str], str]):
    bring("open-webui.json", "open-webui")
    _, feedback = held()
    told = {
        id.removeprefix(FEEDBACK): (
            row.kind,
            row.value,
            row.metadata.get("scale"),
            row.exchange_id.removeprefix(MESSAGE),
        )
        for id, row in feedback.items()
    }
    assert told == {
        "1:1731600200": ("thumbs", -1, None, "4"),
        "1:1731600200:details": ("rating", 2, [1, 10], "4"),
        "2:1731600300": ("thumbs", 1, None, "2"),
        "3:1731600400": ("thumbs", 1, None, "99999999-0000-4000-8000-000000000009"),  # written as "1", without snapshot
        "4:1731600500": ("rating", 0, [-1, 1], "5"),  # a draw
        "5:1731600600": ("comment", "Good, but terse.", None, "2"),
    }
    down = feedback[FEEDBACK + "1:1731600200"]
    assert (down.at, down.comment, down.episode_id, down.source) == (1731600200.0, "It is the Rhine.", CHAT, "human")
    assert down.metadata == {
        "reason": "not_factually_correct",
        "tags": ["Geography"],
        "model_id": "llama3.1:8b",
        "sibling_model_ids": ["qwen2.5:7b"],
        "arena": True,
    }
    # another person rated than the one who asked
    assert feedback[FEEDBACK + "2:1731600300"].user == hashed("uuuuuuuu-0000-4000-8000-000000000002")


def test_bad_rows_are_told_and_the_good_ones_kept(bring: Any):
    done = bring("open-webui.json", "open-webui")
    assert (done.exchanges, done.feedback) == (3, 6)
    assert done.as_dict()["refused"] == [
        {"line": 6, "reason": "data.rating must be 1, 0 or -1; it was 7."},
        {"line": 7, "reason": "meta.message_id is missing: the row does not say which message is rated."},
    ]


def test_a_rating_that_was_changed_is_a_further_feedback(bring: Any, held: Any, tmp_path: Any):
    import json

    row: dict[str, Any] = {
        "id": "f", "user_id": "u", "type": "rating", "data": {"rating": 1}, "meta": {"message_id": "m"},
        "snapshot": None, "created_at": 10, "updated_at": 10,
    }  # fmt: skip
    changed = {**row, "data": {"rating": -1}, "updated_at": 20}
    for rows in ([row], [row, changed], [row, changed]):
        (tmp_path / "export.json").write_text(json.dumps(rows))
        bring(tmp_path / "export.json", "open-webui")
    _, feedback = held()
    assert [(row.value, row.at) for row in feedback.values()] == [(1, 10.0), (-1, 20.0)]


def test_the_csv_export_is_refused_with_the_way_out(bring: Any, tmp_path: Any):
    path = tmp_path / "export.csv"
    path.write_text(
        "id,user_id,chat_id,model_id,sibling_model_ids,rating,reason,comment,created_at,updated_at\nf,u,,m,,1,,,10,10\n"
    )
    done = bring(path, "open-webui")
    assert (done.feedback, done.told[0].line) == (0, 2)
    assert done.told[0].reason.endswith("export as JSON.")
