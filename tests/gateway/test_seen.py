"""What use itself shows is kept as implicit feedback, and nothing is read into it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from loopwise.config import RetentionSettings
from loopwise.store import Store, feedback
from loopwise.store.retention import expire
from loopwise.types import Feedback

Said = Callable[[], list[Feedback]]


@pytest.fixture
def seen(store: Store) -> Said:
    def read() -> list[Feedback]:
        with store.reading() as conn:
            return [row for _, row in feedback.up_to(conn, feedback.watermark(conn))]

    return read


def user(text: Any) -> dict[str, Any]:
    return {"role": "user", "content": text}


def answer(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def ask(url: str, *messages: Any, headers: dict[str, str] | None = None, **more: Any) -> str:
    body = {"model": "loopwise", "messages": messages, **more}
    return httpx.post(f"{url}/v1/chat/completions", json=body, headers=headers).headers["x-loopwise-exchange"]


def told(row: Feedback) -> tuple[str, Any, str | None, str, str]:
    return row.kind, row.value, row.exchange_id, row.source, row.metadata["seen"]


def test_the_same_conversation_again_is_seen_on_the_earlier_answer(gateway: str, seen: Said):
    first = ask(gateway, user("hi"), user="u1")
    again = ask(gateway, user("hi"), user="u1", temperature=0.5)
    third = ask(gateway, user("hi"), user="u1")
    rows = seen()
    assert [told(row) for row in rows] == [
        ("regenerate", True, first, "implicit", "the same conversation again"),
        ("regenerate", True, again, "implicit", "the same conversation again"),
    ]
    assert [row.metadata["by"] for row in rows] == [again, third]
    assert all(0 < row.metadata["after_s"] < 30 for row in rows)
    assert rows[0].user not in (None, "u1")


def test_strangers_who_ask_the_same_are_not_one_person(gateway: str, seen: Said):
    ask(gateway, user("hi"), user="u1")
    ask(gateway, user("hi"), user="u2")
    ask(gateway, user("hi"))
    ask(gateway, user("hi"))
    assert seen() == []


def test_the_next_turn_of_a_conversation_is_seen_on_the_answer_before_it(gateway: str, seen: Said):
    first = ask(gateway, user("hi"), user="u1")
    second = ask(gateway, user("hi"), answer("tiny@0 hears hi"), user("no, hello"), user="u1")
    ask(gateway, user("hi"), answer("a"), user("b"), answer("c"), user("d"), user="u1")
    assert [told(row) for row in seen()] == [("follow_up", None, first, "implicit", "the conversation's next turn")]
    third = ask(gateway, user("hi"), answer("tiny@0 hears hi"), user("no, hello"), answer("e"), user("f"), user="u1")
    assert told(seen()[1]) == ("follow_up", None, second, "implicit", "the conversation's next turn")
    assert seen()[1].metadata["by"] == third


def test_the_next_turn_of_an_episode_is_seen_where_no_conversation_tells(gateway: str, seen: Said):
    named = {"x-loopwise-episode": "e1"}
    first = ask(gateway, user("hi"), headers=named)
    ask(gateway, {"role": "system", "content": "s"}, user("and then?"), headers=named)
    ask(gateway, user("alone"), headers={"x-loopwise-episode": "e2"})
    [row] = seen()
    assert told(row) == ("follow_up", None, first, "implicit", "the episode's next turn")
    assert row.episode_id == "e1"


def test_a_tools_result_is_no_turn_of_a_person(gateway: str, seen: Said):
    named = {"x-loopwise-episode": "e1"}
    ask(gateway, user("hi"), headers=named)
    call = {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "type": "function", "function": {}}]}
    ask(gateway, user("hi"), call, {"role": "tool", "tool_call_id": "c", "content": "42"}, headers=named)
    assert seen() == []


def test_a_persons_words_do_not_outlive_the_exchange_in_which_they_were_said(gateway: str, seen: Said, store: Store):
    named = {"x-loopwise-episode": "e1"}
    first = ask(gateway, user("hi"), headers=named)
    second = ask(gateway, user("my secret"), user="u1", headers=named)
    parts = [{"type": "text", "text": "my secret, too"}]
    third = ask(gateway, user("my secret"), answer("a"), user(parts), user="u1", headers=named)
    events = seen()
    assert [(row.kind, row.exchange_id, row.metadata["by"]) for row in events] == [
        ("follow_up", first, second),
        ("follow_up", second, third),
    ]
    assert "secret" not in str(events)
    expire(store, RetentionSettings(exchanges=1), time.time() + 2 * 86_400)
    files = [path.read_bytes() for path in store.root.rglob("*") if path.is_file()]
    assert not [content for content in files if b"my secret" in content]
    assert seen() == events


def test_what_is_brought_twice_is_seen_once(gateway: str, seen: Said):
    rows = [
        {"id": f"m{n}", "at": 10.0 + n, "model": "m", "messages": [user("q")], "content": "a", "episode_id": "e1"}
        for n in range(3)
    ]
    for body in (rows[:2], rows, [rows[2], rows[0], rows[2]], rows[1], [{**row, "at": 20.0} for row in rows]):
        assert httpx.post(f"{gateway}/v1/exchanges", json=body).status_code == 200
    assert [(row.exchange_id, row.metadata["by"], row.metadata["after_s"]) for row in seen()] == [
        ("m0", "m1", 1.0),
        ("m1", "m2", 1.0),
    ]


def test_of_words_that_are_not_kept_nothing_is_seen(gateway: str, seen: Said):
    for _ in range(2):
        ask(gateway, user("my secret"), user="u1", store=False, headers={"x-loopwise-episode": "e1"})
    assert seen() == []


def test_what_is_brought_in_late_says_nothing_about_what_came_after_it(gateway: str, seen: Said):
    first = ask(gateway, user("hi"), headers={"x-loopwise-episode": "e1"})
    for name, at in (("old", 1.0), ("new", time.time() + 5)):
        row = {"id": name, "at": at, "model": "m", "messages": [user(name)], "content": "a", "episode_id": "e1"}
        assert httpx.post(f"{gateway}/v1/exchanges", json=row).status_code == 200
    [event] = seen()
    assert (event.exchange_id, event.metadata["by"]) == ("old", "new")
    assert first != "old"


def test_a_hang_up_is_an_abandon_of_that_answer(gateway: str, model: Any, store: Store, seen: Said):
    body = {"model": "loopwise", "messages": [user("hang")], "user": "u1"}
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{gateway}/v1/chat/completions", json=body, timeout=0.5)
    assert model.canceled.wait(5)
    deadline = time.monotonic() + 5
    while not seen():  # what the server does after our connection is closed cannot be awaited
        assert time.monotonic() < deadline
        time.sleep(0.01)
    [row] = seen()
    assert (row.kind, row.value, row.source, row.metadata["seen"]) == ("abandon", True, "implicit", "hang-up")
